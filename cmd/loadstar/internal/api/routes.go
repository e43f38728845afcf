package api

import (
	"net/http"
	"slices"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/history"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
	"github.com/loadstar-lb/loadstar/modules/census"
	"github.com/loadstar-lb/loadstar/modules/explain"
	"github.com/loadstar-lb/loadstar/modules/overlay"
)

// smallBody bounds bodies that are no configuration.
const smallBody = 64 << 10

// route is one thing that can be asked or ordered.
type route struct {
	method, path string
	summary      string
	query        []param
	body         any   // an example of its type; text: any bytes; nil: none
	maxBody      int64 // 0: smallBody
	answer       any   // an example of its type; text: text; nil: described by itself
	also         []int // statuses of problems
	tagged       bool  // has an ETag; what changes something takes If-Match
	handle       func(c *call) (any, error)
}

// param is one of the query, or of the path.
type param struct{ name, doc string }

// notFound and the like are the problems that a route can have.
const (
	notFound    = http.StatusNotFound
	conflict    = http.StatusConflict
	outdated    = http.StatusPreconditionFailed
	refused     = http.StatusUnprocessableEntity
	unreadable  = http.StatusBadRequest
	tooLarge    = http.StatusRequestEntityTooLarge
	unavailable = http.StatusInternalServerError
)

var (
	ofPool    = param{"pool", "only of that pool"}
	ofServer  = param{"server", "only of that server of the pool"}
	atMost    = param{"limit", "how many at most"}
	dryRun    = param{"dry_run", "true: only check, change nothing"}
	confirmed = param{"confirm", "a duration, such as 60s: go back after it unless POST /confirm comes before"}
)

// table is everything that there is.
func table() []route {
	return slices.Concat([]route{
		{method: "GET", path: "/openapi.json", summary: "This description, as OpenAPI 3", handle: describe},
		{method: "GET", path: "/status", summary: "How the process is", answer: Status{}, tagged: true,
			handle: func(c *call) (any, error) { return c.p.Status(), nil }},
		{method: "GET", path: "/census", summary: "Everything that is running, with its counters", answer: census.Census{}, tagged: true,
			handle: func(c *call) (any, error) { return c.p.Census(), nil }},
		{method: "GET", path: "/metrics", summary: "The metrics, in Prometheus' form", answer: text(""), handle: func(c *call) (any, error) {
			c.metrics.ServeHTTP(c.w, c.Request)
			return served{}, nil
		}},
		{method: "GET", path: "/pools", summary: "All pools with their servers", answer: []census.Pool{}, tagged: true, handle: pools},
		{method: "GET", path: "/pools/{pool}", summary: "One pool with its servers", answer: census.Pool{}, also: []int{notFound}, tagged: true, handle: pool},
		{method: "GET", path: "/servers", summary: "All servers", query: []param{ofPool}, answer: []census.Server{}, tagged: true, handle: servers},
		{method: "GET", path: "/pools/{pool}/servers/{server}", summary: "One server", answer: census.Server{}, also: []int{notFound},
			tagged: true, handle: server},
	}, changeRoutes(), sessionRoutes(), configRoutes())
}

func changeRoutes() []route {
	return []route{
		{method: "GET", path: "/changes", summary: "What was changed at run time, and the lines that would make it permanent",
			answer: Changes{}, tagged: true, handle: changes},
		{method: "POST", path: "/changes", summary: "Drain a server, put it into maintenance, make it ready, give it a weight or a maxconn, " +
			"add, remove or shut it; the answer is the server as it is then, or null if it is gone",
			body: Order{}, answer: &census.Server{}, also: []int{notFound, conflict, outdated, tooLarge, refused}, tagged: true, handle: change},
		{method: "DELETE", path: "/changes", summary: "Take back what was changed: of a server, of a pool, or everything",
			query: []param{ofPool, ofServer}, answer: Changes{}, also: []int{notFound, conflict, outdated, refused}, tagged: true, handle: clearChanges},
	}
}

func sessionRoutes() []route {
	return []route{
		{method: "GET", path: "/sessions", summary: "What is in flight: exchanges, tunnels and streams at servers, the oldest first",
			query: []param{ofPool, ofServer, atMost}, answer: Sessions{}, handle: sessions},
		{method: "DELETE", path: "/sessions", summary: "End what is in flight: one by its ID, or all of a server",
			query: []param{{"id", "of one session"}, ofPool, ofServer}, answer: Count{}, also: []int{notFound}, handle: shutSessions},
		{method: "GET", path: "/connections", summary: "Which clients are connected, the oldest first", query: []param{atMost},
			answer: Connections{}, handle: connections},
		{method: "DELETE", path: "/connections/{id}", summary: "Close a client's connection at once", answer: Count{},
			also: []int{notFound}, handle: closeConnection},
		{method: "GET", path: "/tables", summary: "The tables of persistence", answer: []Table{}, handle: tables},
		{method: "GET", path: "/tables/{table}", summary: "The entries of a table",
			query:  []param{{"key", "only of that client"}, {"server", "only those of that server"}, atMost},
			answer: Entries{}, also: []int{notFound}, handle: entries},
		{method: "DELETE", path: "/tables/{table}", summary: "Forget entries of a table: of a client, of a server, or all",
			query: []param{{"key", "only of that client"}, {"server", "only those of that server"}}, answer: Count{}, also: []int{notFound}, handle: clearEntries},
	}
}

func configRoutes() []route {
	const size = syntax.MaxSize
	load := []int{outdated, conflict, tooLarge, refused}
	return []route{
		{method: "GET", path: "/config", summary: "The configuration in force, with the texts of all its files", answer: Config{}, also: []int{notFound},
			tagged: true, handle: config},
		{method: "GET", path: "/config/source", summary: "The text of its own file", answer: text(""), also: []int{notFound}, tagged: true, handle: source},
		{method: "GET", path: "/config/graph", summary: "Its listeners, sites, routes, pools and servers, with what was changed at run time",
			query:  []param{{"format", "json, text, dot or svg"}},
			answer: explain.Outline{}, also: []int{unavailable}, tagged: true, handle: outline},
		{method: "GET", path: "/history", summary: "The configurations that were in force, the newest first", answer: History{}, tagged: true, handle: listHistory},
		{method: "GET", path: "/history/{number}", summary: "One of them, with the texts of all its files", answer: Config{},
			also: []int{notFound}, handle: historyEntry},
		{method: "GET", path: "/history/{number}/diff", summary: "What one changed in the one before it, or in the one named by `from`; in the unified form",
			query: []param{{"from", "the number of the other one"}}, answer: text(""), also: []int{notFound}, handle: historyDiff},
		{method: "POST", path: "/load", summary: "Put a configuration in force: its text is the body", maxBody: size + 1,
			query:  []param{{"name", "of the file, for imports and diagnostics"}, dryRun, confirmed},
			body:   text(""),
			answer: Loaded{}, also: load, tagged: true, handle: loadText},
		{method: "POST", path: "/reload", summary: "Read the file again", query: []param{dryRun, confirmed}, answer: Loaded{}, also: load, tagged: true, handle: reload},
		{method: "POST", path: "/rollback", summary: "Put a former configuration in force again: by `to`, or the one before; ends the wait of one that is not confirmed",
			query: []param{{"to", "its number in the history"}, dryRun, confirmed}, answer: Loaded{}, also: append(load, notFound), tagged: true, handle: rollback},
		{method: "POST", path: "/confirm", summary: "Keep the configuration that waits to be confirmed", answer: history.Pending{}, also: []int{conflict}, handle: confirm},
		{method: "POST", path: "/upgrade", summary: "Have a new process take over", answer: text(""), also: []int{conflict}, handle: upgrade},
	}
}

// foreign refuses what the query does not know: a misspelt dry_run must not load.
func (r *route) foreign(req *http.Request) *Problem {
	for name := range req.URL.Query() {
		if slices.ContainsFunc(r.query, func(p param) bool { return p.name == name }) {
			continue
		}
		names := make([]string, 0, len(r.query))
		for _, p := range r.query {
			names = append(names, p.name)
		}
		p := bad("%s %s takes no %q in its query", r.method, r.path, clip(name))
		if near := diag.Nearest(name, names); near != "" {
			p.Help = []string{"did you mean " + near + "?"}
		}
		return p
	}
	return nil
}

// Changes is what was changed at run time.
type Changes struct {
	Changes []overlay.Listed    `json:"changes"`
	Lines   []overlay.PoolLines `json:"lines"` // to be put into the file, pool by pool
}

// Count tells how many were concerned.
type Count struct {
	Count int `json:"count"`
}
