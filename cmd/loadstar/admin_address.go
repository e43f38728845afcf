package main

import (
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// adminAddress gives where a configuration wants the endpoint.
func adminAddress(cfg *config.Config) (addr string, explicit bool, at diag.Range) {
	if n := config.Last(cfg.Process, "admin"); n != nil {
		return n.Text(0), true, n.Range
	}
	return "unix/" + defaultSocket(), false, diag.Range{}
}

// defaultSocket is in /run/loadstar for root (and under systemd's
// RuntimeDirectory), in the user's own runtime directory for others.
func defaultSocket() string {
	for _, dir := range []string{os.Getenv("RUNTIME_DIRECTORY"), "/run/loadstar", os.Getenv("XDG_RUNTIME_DIR")} {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err == nil && writable(dir) {
			return filepath.Join(dir, "admin.sock")
		}
	}
	dir := filepath.Join(os.TempDir(), "loadstar-"+userID())
	_ = os.MkdirAll(dir, 0o700)
	return filepath.Join(dir, "admin.sock")
}

// limitListener holds the number of open connections to max; more wait in the
// kernel's queue.
func limitListener(l net.Listener, max int) net.Listener {
	return &limited{Listener: l, slots: make(chan struct{}, max), closed: make(chan struct{})}
}

type limited struct {
	net.Listener
	slots  chan struct{}
	once   sync.Once
	closed chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: c, l: l}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	l    *limited
	once sync.Once
}

func (c *limitedConn) Close() error {
	c.once.Do(func() { <-c.l.slots })
	return c.Conn.Close()
}
