//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
)

// product is one proxy of the comparison.
type product struct {
	Name    string
	Program string   // how it was found
	Version []string // arguments that print the version
	// TCP tells that it can pass TCP through.
	TCP bool
	// H3 tells that it speaks HTTP/3; Debian's HAProxy and nginx are built without.
	H3 bool
	// config makes the configuration; args the arguments that run it in the foreground.
	config func(setup) string
	args   func(file string) []string
	env    []string
	file   string // name of the configuration file
}

// setup is what a configuration is made from.
type setup struct {
	Dir          string  // for sockets, temporary files and pid files
	HTTP, TCP    int     // ports to listen on, 127.0.0.1
	TLS          int     // port of the HTTPS site
	Key          keyKind // of its certificate; "": there is no HTTPS site
	Certificates string  // directory of the certificates
	OriginH      int     // port of the HTTP origin
	OriginT      int     // port of the TCP origin
	Log          int     // UDP port of a syslog receiver; 0: logs are off
	Reuse        string  // HAProxy's http-reuse
}

// crt is the base name of the certificate's files.
func (s setup) crt() string { return filepath.Join(s.Certificates, string(s.Key)) }

// products are the comparison, Loadstar first.
func products(loadstar, caddy string) []*product {
	return []*product{
		{
			Name: "loadstar", Program: loadstar, Version: []string{"version"}, TCP: true, H3: true,
			config: loadstarConfig, file: "Lbfile",
			args: func(f string) []string { return []string{"run", "--config", f} },
		},
		{
			Name: "haproxy", Program: find("haproxy"), Version: []string{"-v"}, TCP: true,
			config: haproxyConfig, file: "haproxy.cfg",
			args: func(f string) []string { return []string{"-db", "-f", f} },
		},
		{
			Name: "nginx", Program: find("nginx"), Version: []string{"-v"}, TCP: nginxStream() != "",
			config: nginxConfig, file: "nginx.conf",
			args: func(f string) []string { return []string{"-c", f, "-p", filepath.Dir(f)} },
		},
		{
			Name: "caddy", Program: caddy, Version: []string{"version"}, H3: true,
			config: caddyConfig, file: "Caddyfile",
			args: func(f string) []string { return []string{"run", "--config", f, "--adapter", "caddyfile"} },
			env:  []string{"GOMAXPROCS=1"},
		},
	}
}

// find looks for a program on the path and where Debian keeps servers.
func find(name string) string {
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	if p := "/usr/sbin/" + name; exists(p) {
		return p
	}
	return ""
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// nginxStream finds Debian's dynamic module for TCP, which is a package of its own.
func nginxStream() string {
	const name = "/usr/lib/nginx/modules/ngx_stream_module.so"
	if exists(name) {
		return name
	}
	return ""
}

var errMissing = errors.New("not installed")

// available tells why a product cannot be run, or nil.
func (p *product) available() error {
	if p.Program == "" || !exists(p.Program) {
		return fmt.Errorf("%s: %w", p.Name, errMissing)
	}
	return nil
}

// version gives the first line that the product prints about itself.
func (p *product) version() string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, p.Program, p.Version...).CombinedOutput()
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	line = strings.TrimPrefix(line, "nginx version: ")
	if i := strings.Index(line, " - https://"); i > 0 {
		line = line[:i]
	}
	if p.Name == "caddy" {
		line = strings.SplitN(line, " ", 2)[0]
		line = "Caddy " + line
	}
	return strings.TrimSpace(line)
}

// running is a product under test.
type running struct {
	*product
	*rig.Process
	HTTPPort, TCPPort, TLSPort int
}

// start runs a product pinned to the first processor.
func (p *product) start(s setup) (*running, error) {
	ports, err := rig.Ports(3)
	if err != nil {
		return nil, err
	}
	program, err := filepath.Abs(p.Program) // it starts in another directory
	if err != nil {
		return nil, err
	}
	s.HTTP, s.TCP, s.TLS = ports[0], ports[1], ports[2]
	s.Dir = filepath.Join(s.Dir, p.Name)
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return nil, err
	}
	file := filepath.Join(s.Dir, p.file)
	if err := os.WriteFile(file, []byte(p.config(s)), 0o644); err != nil {
		return nil, err
	}
	cmd, err := pinned(proxyCPU, append([]string{program}, p.args(file)...)...)
	if err != nil {
		return nil, err
	}
	cmd.Dir = s.Dir
	cmd.Env = append(append(os.Environ(), "HOME="+s.Dir, "XDG_DATA_HOME="+s.Dir, "XDG_CONFIG_HOME="+s.Dir), p.env...)
	proc, err := rig.Start(cmd)
	if err != nil {
		return nil, err
	}
	if err := proc.Answers(15*time.Second, rig.Addr(s.HTTP)); err != nil {
		_ = proc.Stop(time.Second)
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	return &running{p, proc, s.HTTP, s.TCP, s.TLS}, nil
}
