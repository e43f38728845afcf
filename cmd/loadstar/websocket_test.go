package main_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// nodeWS gives a command that runs a script with the npm package ws.
func nodeWS(t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	modules, err := filepath.Abs("../../.bench/ws/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	node, err := exec.LookPath("node")
	if _, missing := os.Stat(filepath.Join(modules, "ws")); err != nil || missing != nil {
		t.Skip("node and the npm package ws are not both there (make ws)")
	}
	cmd := exec.CommandContext(t.Context(), node, append([]string{filepath.Join("testdata/ws", script)}, args...)...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	return cmd
}

// A foreign client talks to a foreign server: in clear, by TLS, and over a stretch
// of HTTP/2 or HTTP/3 (extended CONNECT) between two of us.
func TestWebSocketNPM(t *testing.T) {
	t.Parallel()
	server := nodeWS(t, "server.js")
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	p := e2e.Ports(t, 5)
	e2e.Run(t, fmt.Sprintf(`http://localhost:%[2]d {
	proxy 127.0.0.1:%[1]s
}
https://localhost:%[3]d {
	tls internal protocols h1 h2 h3
	proxy 127.0.0.1:%[1]s
}
http://localhost:%[4]d {
	proxy clear
}
http://localhost:%[5]d {
	proxy secure
}
http://localhost:%[6]d {
	proxy third
}
pool clear {
	protocol h2c
	server one localhost:%[2]d
}
pool secure {
	tls verify off name localhost
	protocol h2
	server one localhost:%[3]d
}
pool third {
	tls verify off name localhost
	protocol h3
	server one localhost:%[3]d
}
`, strings.TrimSpace(line), p[0], p[1], p[2], p[3], p[4]), p...)
	for name, url := range map[string]string{
		"HTTP/1":               fmt.Sprintf("ws://localhost:%d/a", p[0]),
		"TLS":                  fmt.Sprintf("wss://localhost:%d/a", p[1]),
		"over HTTP/2":          fmt.Sprintf("ws://localhost:%d/a", p[2]),
		"over HTTP/2 with TLS": fmt.Sprintf("ws://localhost:%d/a", p[3]),
		"over HTTP/3":          fmt.Sprintf("ws://localhost:%d/a", p[4]),
	} {
		t.Run(name, func(t *testing.T) {
			if out, err := nodeWS(t, "client.js", url).CombinedOutput(); err != nil || string(out) != "ok\n" {
				t.Errorf("%s (%v)", out, err)
			}
		})
	}
}
