//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
)

// soakProduct is a proxy that can be soaked.
type soakProduct struct {
	name    string
	program string
	file    string
	signal  syscall.Signal // that makes it reload
	checks  bool           // it probes servers by itself
	modern  bool           // it speaks HTTP/3, and WebSocket over HTTP/2
	args    func(file string) []string
	config  func(soakSetup) string
}

// soakSetup is what a generation's configuration is made from.
type soakSetup struct {
	Dir        string
	Web, TCP   int // ports
	TLS        int // of the HTTPS site
	Generation int
	servers    *soakServers
}

func (p *soakProduct) command(file string) *exec.Cmd {
	cmd := exec.Command(p.program, p.args(file)...)
	cmd.Dir = filepath.Dir(file)
	return cmd
}

func soakProductNamed(name string) *soakProduct {
	loadstar, _ := filepath.Abs("bin/loadstar")
	for _, p := range []*soakProduct{
		{
			name: "loadstar", program: loadstar, file: "Lbfile", signal: syscall.SIGHUP, checks: true, modern: true, config: soakLoadstar,
			args: func(f string) []string { return []string{"run", "--config", f} },
		},
		{
			name: "haproxy", program: find("haproxy"), file: "haproxy.cfg", signal: syscall.SIGUSR2, checks: true, config: soakHAProxy,
			args: func(f string) []string { return []string{"-W", "-f", f} },
		},
		{
			name: "nginx", program: find("nginx"), file: "nginx.conf", signal: syscall.SIGHUP, config: soakNginx,
			args: func(f string) []string { return []string{"-c", f, "-p", filepath.Dir(f)} },
		},
	} {
		if p.name == name {
			return p
		}
	}
	return nil
}

// Every generation differs: a weight goes to and fro, and the number it answers
// under /generation tells which one is current.

func soakLoadstar(x soakSetup) string {
	return fmt.Sprintf(`{
	admin unix/%[1]s/admin.sock
}

http://:%[2]d {
	bind 127.0.0.1
	log off
	respond /generation 200 "%[4]d"
	proxy web
}

https://%[10]s:%[11]d {
	bind 127.0.0.1
	log off
	tls %[1]s/ecdsa.crt %[1]s/ecdsa.key
	proxy web
}

tcp://127.0.0.1:%[3]d {
	log off
	proxy streams
}

pool web {
	balance roundrobin
	health http GET /health interval 100ms timeout 2s rise 2 fall 2
	server one 127.0.0.1:%[5]d weight %[9]d
	server two 127.0.0.1:%[6]d
	server dead 127.0.0.1:%[7]d
}

pool streams {
	server echo 127.0.0.1:%[8]d
}
`, x.Dir, x.Web, x.TCP, x.Generation, x.servers.one, x.servers.two, x.servers.dead, x.servers.echo, 1+x.Generation%2,
		tlsName, x.TLS)
}

func soakHAProxy(x soakSetup) string {
	return fmt.Sprintf(`global
	maxconn 4000
	hard-stop-after 60s
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
	timeout tunnel 60s
	timeout check 2s
frontend web
	bind 127.0.0.1:%[2]d
	bind 127.0.0.1:%[10]d ssl crt %[1]s/ecdsa.pem alpn h2,http/1.1
	http-request return status 200 content-type text/plain string "%[4]d" if { path /generation }
	default_backend web
backend web
	balance roundrobin
	option httpchk GET /health
	default-server inter 100ms rise 2 fall 2
	server one 127.0.0.1:%[5]d check weight %[9]d
	server two 127.0.0.1:%[6]d check
	server dead 127.0.0.1:%[7]d check
listen streams
	mode tcp
	bind 127.0.0.1:%[3]d
	server echo 127.0.0.1:%[8]d
`, x.Dir, x.Web, x.TCP, x.Generation, x.servers.one, x.servers.two, x.servers.dead, x.servers.echo, 1+x.Generation%2, x.TLS)
}

// soakNginx leaves the dead server out: without active checks it would be asked.
func soakNginx(x soakSetup) string {
	module := ""
	if so := nginxStream(); so != "" {
		module = "load_module " + so + ";\n"
	}
	return fmt.Sprintf(`%[1]suser root;
daemon off;
worker_processes 1;
error_log stderr crit;
pid %[2]s/nginx.pid;
events { worker_connections 4000; }
http {
	access_log off;
	client_body_temp_path %[2]s/body;
	proxy_temp_path %[2]s/proxy;
	fastcgi_temp_path %[2]s/fastcgi;
	uwsgi_temp_path %[2]s/uwsgi;
	scgi_temp_path %[2]s/scgi;
	map $http_upgrade $upgrading { default upgrade; '' ''; }
	upstream web {
		server 127.0.0.1:%[6]d weight=%[9]d;
		server 127.0.0.1:%[7]d;
		keepalive 64;
	}
	server {
		listen 127.0.0.1:%[3]d;
		listen 127.0.0.1:%[10]d ssl http2;
		ssl_certificate %[2]s/ecdsa.crt;
		ssl_certificate_key %[2]s/ecdsa.key;
		ssl_protocols TLSv1.2 TLSv1.3;
		location = /generation { return 200 "%[5]d"; }
		location / {
			proxy_pass http://web;
			proxy_http_version 1.1;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection $upgrading;
		}
	}
}
stream {
	server { listen 127.0.0.1:%[4]d; proxy_pass 127.0.0.1:%[8]d; }
}
`, module, x.Dir, x.Web, x.TCP, x.Generation, x.servers.one, x.servers.two, x.servers.echo, 1+x.Generation%2, x.TLS)
}
