// Package api is what the admin endpoint speaks: a JSON API over HTTP, described
// by OpenAPI 3 at /openapi.json. The table of routes is in routes.go; the
// description is made of it, and of the Go types of requests and answers.
//
// Who may speak to it at all (unix socket or loopback, no foreign web pages) is
// decided before, by who serves it.
package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/history"
	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/listener"
	"github.com/loadstar-lb/loadstar/modules/census"
	"github.com/loadstar-lb/loadstar/modules/explain"
	"github.com/loadstar-lb/loadstar/modules/overlay"
	"github.com/loadstar-lb/loadstar/modules/persistence"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Process is the running process, as the API needs it.
type Process interface {
	Status() Status
	Census() *census.Census
	// Load puts a configuration in force, or says why not.
	Load(ctx context.Context, o Load) Outcome
	// Upgrade has another process take over, and gives its id.
	Upgrade(ctx context.Context) (pid int, err error)
	// Confirm ends the wait of a configuration that goes back by itself.
	Confirm() (history.Pending, error)
	Pending() (history.Pending, bool)
	History() *history.Log
	// Outline describes the configuration in force, with what was changed.
	Outline() (*explain.Outline, error)

	// Change makes a change at run time, if the state is as ifMatch says (see
	// Tag), "" whatever it is. Its error is an *overlay.Refusal or ErrOutdated.
	Change(ctx context.Context, c overlay.Change, ifMatch string) error
	Changes() ([]overlay.Listed, []overlay.PoolLines)
	// Tag names the state: the configuration, and what was changed at run time.
	Tag() string

	EachFlight(visit func(upstream.FlightInfo))
	ShutFlights(choose func(upstream.FlightInfo) bool) int
	EachConn(visit func(listener.ConnInfo))
	CloseConn(id uint64) bool
	EachTable(visit func(persistence.TableKey, *persistence.Table))
}

// Status is what GET /status tells.
type Status struct {
	Version     string           `json:"version"`
	PID         int              `json:"pid"`
	Generation  uint64           `json:"generation"`
	Started     time.Time        `json:"started"`
	Loaded      time.Time        `json:"loaded"`       // the configuration in force
	LastLoad    time.Time        `json:"last_load"`    // the last attempt
	LastLoadOK  bool             `json:"last_load_ok"` // of that attempt
	Loads       uint64           `json:"loads"`        // attempts that came into force
	LoadsFailed uint64           `json:"loads_failed"` // and others
	Connections int64            `json:"connections"`
	Goroutines  int              `json:"goroutines"`
	Draining    int              `json:"draining"`          // older generations that still serve somebody
	Changes     int              `json:"changes"`           // made at run time and kept
	Pending     *history.Pending `json:"pending,omitempty"` // waits to be confirmed
}

// Load is an order to load a configuration.
type Load struct {
	Name    string         // of the file
	Src     []byte         // nil: what the file holds, of the name the process was started with
	Entry   *history.Entry // in place of both: one that was in force before
	By      string
	Dry     bool          // only check
	Confirm time.Duration // go back after that time unless confirmed; 0: stay
	IfMatch string        // see Process.Tag; "": whatever is in force
	// BackFrom is the number of the configuration that nobody has confirmed, where
	// Entry comes back for that.
	BackFrom uint64
}

// Outcome is what became of a load.
type Outcome struct {
	Generation  uint64
	Number      uint64 // in the history; 0: it did not come into force
	Diagnostics diag.List
	Sources     *dsl.Sources
	Err         error // ErrOutdated, ErrPending: nothing was looked at
}

// OK reports whether the configuration is in force now, or would be.
func (o Outcome) OK() bool { return o.Err == nil && !o.Diagnostics.HasErrors() }

// API serves the endpoint.
type API struct {
	process Process
	metrics http.Handler
	routes  []route
	mux     *http.ServeMux
}

// New gives the API of a process; metrics serves GET /metrics.
func New(p Process, metrics http.Handler) *API {
	a := &API{process: p, metrics: metrics, routes: table(), mux: http.NewServeMux()}
	for i := range a.routes {
		r := &a.routes[i]
		a.mux.HandleFunc(r.method+" "+r.path, func(w http.ResponseWriter, req *http.Request) { a.serve(w, req, r) })
	}
	return a
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, pattern := a.mux.Handler(r)
	if pattern == "" {
		a.lost(w, r, h)
		return
	}
	a.mux.ServeHTTP(w, r)
}

// lost answers what no route takes: the method is wrong, or the path is.
func (a *API) lost(w http.ResponseWriter, r *http.Request, h http.Handler) {
	probe := &header{h: http.Header{}}
	h.ServeHTTP(probe, r)
	if probe.code == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", probe.h.Get("Allow"))
		writeProblem(w, &Problem{code: probe.code, Message: r.Method + " is not for " + r.URL.Path, Help: []string{"it takes " + probe.h.Get("Allow")}})
		return
	}
	p := &Problem{code: http.StatusNotFound, Message: "there is no " + clip(r.URL.Path)}
	var paths []string
	for i := range a.routes {
		paths = append(paths, a.routes[i].path)
	}
	if near := diag.Nearest(r.URL.Path, paths); near != "" {
		p.Help = append(p.Help, "did you mean "+near+"?")
	}
	p.Help = append(p.Help, "GET /openapi.json describes everything that there is")
	writeProblem(w, p)
}

// header takes what a handler says and keeps its head.
type header struct {
	h    http.Header
	code int
}

func (w *header) Header() http.Header         { return w.h }
func (w *header) WriteHeader(code int)        { w.code = code }
func (w *header) Write(p []byte) (int, error) { return len(p), nil }

// call is one request.
type call struct {
	*http.Request
	w       http.ResponseWriter
	p       Process
	metrics http.Handler
}

// serve answers one request of a route.
func (a *API) serve(w http.ResponseWriter, r *http.Request, route *route) {
	if p := route.foreign(r); p != nil {
		writeProblem(w, p)
		return
	}
	body := route.maxBody
	if body == 0 {
		body = smallBody
	}
	r.Body = http.MaxBytesReader(w, r.Body, body)
	if route.tagged && r.Method == http.MethodGet {
		w.Header().Set("ETag", a.process.Tag())
	}
	v, err := route.handle(&call{Request: r, w: w, p: a.process, metrics: a.metrics})
	if err != nil {
		writeProblem(w, problemOf(err))
		return
	}
	if route.tagged && r.Method != http.MethodGet {
		w.Header().Set("ETag", a.process.Tag())
	}
	switch v := v.(type) {
	case served:
	case text:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(v))
	default:
		writeJSON(w, http.StatusOK, v)
	}
}

// served tells that the handler has answered itself.
type served struct{}

// text is an answer that is no JSON.
type text string

// by tells who asks: what the request says of itself behind what is known of it.
func (c *call) by() string {
	who := "admin endpoint"
	if peer, ok := c.Context().Value(peerKey{}).(func() string); ok {
		who = peer()
	}
	if said := strings.TrimSpace(c.Header.Get("X-Loadstar-By")); said != "" {
		who += " (" + clip(printable(said)) + ")"
	}
	return who
}

type peerKey struct{}

// WithPeer notes in a connection's context how to find out who is at its other
// end.
func WithPeer(ctx context.Context, who func() string) context.Context {
	return context.WithValue(ctx, peerKey{}, who)
}
