package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/api"
	"github.com/loadstar-lb/loadstar/listener"
	"github.com/loadstar-lb/loadstar/modules/metrics"
)

// adminConns bounds the connections to the endpoint: whoever floods it must not
// cost traffic anything.
const adminConns = 64

// admin is the endpoint. Its address is part of the configuration, so it can
// move; it does so only when the configuration that moves it is in force.
type admin struct {
	control api.Process
	log     *slog.Logger
	mu      sync.Mutex
	addr    string
	server  *http.Server
	l       net.Listener // the server's
	// inherited are the sockets of the process that is replaced; nil: there are none.
	inherited *listener.Inherited
	patience  time.Duration // for a whole request; 0: 30 seconds
}

// move binds a new address; then commit makes it the one in force, and abort
// lets it go again. Without a change both do nothing.
func (a *admin) move(addr string, explicit bool) (commit, abort func(), err error) {
	a.mu.Lock()
	same := a.addr == addr
	a.mu.Unlock()
	nothing := func() {}
	if same {
		return nothing, nothing, nil
	}
	var l net.Listener
	if addr != "off" {
		l, err = listenAdmin(a.inherited, addr)
		if err != nil && !explicit {
			a.log.Warn("no admin endpoint at the default address", "address", addr, "err", err)
			return nothing, nothing, nil
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return func() { a.serve(addr, l) }, func() {
		if l != nil {
			_ = l.Close()
		}
	}, nil
}

// serve starts to serve at l and retires the server of the former address,
// which finishes the requests it has: one of them may be the load at hand.
func (a *admin) serve(addr string, l net.Listener) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.retire()
	a.addr, a.server, a.l = addr, nil, l
	if l == nil {
		return
	}
	network := "tcp"
	if strings.HasPrefix(addr, "unix/") {
		network = "unix"
	}
	a.server = &http.Server{
		Handler:           a.handler(network),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       cmp.Or(a.patience, 30*time.Second),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return api.WithPeer(ctx, sync.OnceValue(func() string { return peerOf(c) }))
		},
		IdleTimeout:    30 * time.Second,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	go func(s *http.Server) {
		if err := s.Serve(limitListener(l, adminConns)); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("admin endpoint ended", "err", err)
		}
	}(a.server)
}

func (a *admin) retire() {
	if s := a.server; s != nil {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			_ = s.Shutdown(ctx)
		}()
	}
}

// Close ends the endpoint at once.
func (a *admin) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.server != nil {
		_ = a.server.Close()
		a.server = nil
	}
}

func (a *admin) handler(network string) http.Handler {
	return guard(network, api.New(a.control, serveMetrics(metrics.New(a.control, 0))))
}

// guard refuses what a browser could be made to send: requests under a foreign
// name (DNS rebinding), from a foreign page (Origin), or as a form (CSRF).
// A unix socket is out of a browser's reach; there only Origin is refused.
func guard(network string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if network == "unix" {
			if origin != "" {
				http.Error(w, "requests from web pages are refused", http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		if !isLoopback(r.Host) {
			http.Error(w, "the Host is not this machine's loopback", http.StatusForbidden)
			return
		}
		if origin != "" && origin != "http://"+r.Host {
			http.Error(w, "requests from other web pages are refused", http.StatusForbidden)
			return
		}
		if r.Method != http.MethodGet && isForm(r.Header.Get("Content-Type")) {
			http.Error(w, "forms are refused: send Content-Type: application/octet-stream", http.StatusUnsupportedMediaType)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isForm reports whether a page can send that type without asking first (the
// Fetch standard's CORS-safelisted types). No type at all is none of them.
func isForm(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return contentType != ""
	}
	return t == "application/x-www-form-urlencoded" || t == "multipart/form-data" || t == "text/plain"
}

// isLoopback takes host[:port] of this machine's loopback.
func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// listenAdmin binds unix//path (mode 0600) or a loopback host:port.
func listenAdmin(in *listener.Inherited, addr string) (net.Listener, error) {
	path, ok := strings.CutPrefix(addr, "unix/")
	if !ok {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, fmt.Errorf("%q is no address: write unix//path, a loopback host:port, or off", addr)
		}
		if !isLoopback(host) {
			return nil, fmt.Errorf("%s is not the loopback; the admin endpoint has no passwords", host)
		}
		return in.Listen(listener.Key{Network: "tcp", Address: addr})
	}
	return in.Listen(listener.Key{Network: "unix", Address: path, Options: listener.Options{Mode: 0o600}})
}
