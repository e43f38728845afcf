package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
	"github.com/loadstar-lb/loadstar/listener"
	"github.com/loadstar-lb/loadstar/modules/census"
	"github.com/loadstar-lb/loadstar/modules/metrics"
)

// controller is what the admin endpoint gives orders to.
type controller interface {
	// Load puts a configuration in force, or says why not. src is its text;
	// nil: the file's.
	Load(ctx context.Context, name string, src []byte) outcome
	Status() status
	// Upgrade has another process take over, and gives its id.
	Upgrade(ctx context.Context) (pid int, err error)
	// Servers tells how the servers of all pools are.
	Servers() []census.Server
	// Census tells all that is running.
	census.Source
}

// outcome is what became of a load.
type outcome struct {
	Generation  uint64
	Diagnostics diag.List
	Sources     *dsl.Sources
}

// OK reports whether the configuration is in force now.
func (o outcome) OK() bool { return !o.Diagnostics.HasErrors() }

// status is what GET /status tells.
type status struct {
	Version     string    `json:"version"`
	PID         int       `json:"pid"`
	Generation  uint64    `json:"generation"`
	Started     time.Time `json:"started"`
	Loaded      time.Time `json:"loaded"`       // the configuration in force
	LastLoad    time.Time `json:"last_load"`    // the last attempt
	LastLoadOK  bool      `json:"last_load_ok"` // of that attempt
	Loads       uint64    `json:"loads"`        // attempts that came into force
	LoadsFailed uint64    `json:"loads_failed"` // and others
	Connections int64     `json:"connections"`
	Goroutines  int       `json:"goroutines"`
	Draining    int       `json:"draining"` // older generations that still serve somebody
}

// adminConns bounds the connections to the endpoint: whoever floods it must not
// cost traffic anything.
const adminConns = 64

// admin is the endpoint. Its address is part of the configuration, so it can
// move; it does so only when the configuration that moves it is in force.
type admin struct {
	control controller
	log     *slog.Logger
	mu      sync.Mutex
	addr    string
	server  *http.Server
	l       net.Listener // the server's
	// inherited are the sockets of the process that is replaced; nil: there are none.
	inherited *listener.Inherited
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
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
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
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, a.control.Status())
	})
	mux.HandleFunc("GET /servers", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, a.control.Servers())
	})
	mux.HandleFunc("GET /metrics", serveMetrics(metrics.New(a.control, 0)))
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, a.control.Load(r.Context(), "", nil))
	})
	mux.HandleFunc("POST /upgrade", func(w http.ResponseWriter, r *http.Request) {
		pid, err := a.control.Upgrade(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		fmt.Fprintf(w, "process %d has taken over\n", pid)
	})
	mux.HandleFunc("POST /load", func(w http.ResponseWriter, r *http.Request) {
		src, err := io.ReadAll(http.MaxBytesReader(w, r.Body, syntax.MaxSize))
		if err != nil {
			http.Error(w, fmt.Sprintf("the configuration could not be read: %v", err), http.StatusRequestEntityTooLarge)
			return
		}
		name := r.URL.Query().Get("name")
		if name == "" {
			name = "admin:/load"
		}
		answer(w, r, a.control.Load(r.Context(), name, src))
	})
	return guard(network, mux)
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
		if r.Method == http.MethodPost && isForm(r.Header.Get("Content-Type")) {
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

// answer tells what became of a load: as text, or as JSON for who accepts it.
func answer(w http.ResponseWriter, r *http.Request, o outcome) {
	code := http.StatusOK
	if !o.OK() {
		code = http.StatusUnprocessableEntity
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		list := o.Diagnostics
		if list == nil {
			list = diag.List{}
		}
		writeJSON(w, code, loadAnswer{OK: o.OK(), Generation: o.Generation, Diagnostics: list})
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_ = diag.Render(w, o.Diagnostics, o.Sources, diag.Style{})
	if o.OK() {
		fmt.Fprintf(w, "generation %d is in force\n", o.Generation)
	}
}

// loadAnswer is the JSON form of an outcome.
type loadAnswer struct {
	OK          bool      `json:"ok"`
	Generation  uint64    `json:"generation"`
	Diagnostics diag.List `json:"diagnostics"`
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
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
