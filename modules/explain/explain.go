// Package explain tells what would become of a request, without sending it: which
// listener, certificate, site and routes it meets, what each matcher says of it
// and why, and which servers could get it with what chance.
//
// It decides nothing itself. The configuration's own graph is built without
// opening anything; the request goes through the codec's parser, a real TLS
// handshake over a pipe, the graph's own walk of routes, its matchers and its
// handlers. Only where a request would wait or leave the process (`tarpit`,
// `proxy`) does it look at what would happen instead.
//
//   - explain.go: the explainer; answer.go: what it answers; text.go: for people.
//   - request.go, secure.go: the made-up request; web.go, stream.go: its way.
//   - condition.go: matchers; choice.go: servers; state.go: their health.
//   - verify.go: the `test` blocks of a configuration.
//   - outline.go and what follows: the graph as a picture.
package explain

import (
	"log/slog"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/modules"
	"github.com/loadstar-lb/loadstar/modules/graph"
	"github.com/loadstar-lb/loadstar/modules/live"
	"github.com/loadstar-lb/loadstar/modules/matcher"
)

// Explainer answers questions about one configuration. It is for one goroutine.
type Explainer struct {
	cfg      *config.Config
	sources  *diag.Sources
	modules  *modules.Set
	graph    *graph.Graph
	tx       *live.Tx
	matchers *matcher.Set
	states   map[string]State // of servers, by pool and name; see Assume
}

// New builds the configuration's graph, without opening anything. What it refuses
// is in the list; the explainer is nil then.
func New(cfg *config.Config, sources *diag.Sources) (*Explainer, diag.List) {
	set := modules.Standard()
	e := &Explainer{cfg: cfg, sources: sources, modules: set, tx: live.Begin(), matchers: matcher.NewSet(set.Matchers...), states: map[string]State{}}
	g, found := graph.Build(cfg, graph.Deps{
		Set: set, Shared: graph.NewShared(), Tx: e.tx, Dry: true, Log: slog.New(slog.DiscardHandler),
	})
	if g == nil {
		e.tx.Rollback()
		return nil, found
	}
	e.graph = g
	return e, found
}

// Close lets the graph go.
func (e *Explainer) Close() {
	e.graph.Close()
	e.tx.Rollback()
}

// Ask tells what would become of a request. Its error says that the question is
// none: a URL without a port, a header field without a name.
func (e *Explainer) Ask(q Question) (*Answer, error) {
	t, err := readTarget(&q)
	if err != nil {
		return nil, err
	}
	a := &Answer{Request: t.describe(&q), From: q.From.String()}
	l := e.listener(t)
	if l == nil {
		a.Outcome, a.Reason = Refused, "nothing listens at "+t.place()
		for _, l := range e.graph.Listeners {
			a.Notes = append(a.Notes, "there is "+l.Address)
		}
		return a, nil
	}
	a.Listener = &Listener{Network: l.Network, Address: l.Address, TLS: l.Secure()}
	w := &way{e: e, q: &q, t: t, a: a, l: l}
	w.connect()
	if w.over {
		return a, nil
	}
	if s := l.StreamSite(w.conn); s != nil {
		w.stream(s)
		return a, nil
	}
	return a, w.web()
}

// line gives a directive as it stands in its file.
func (e *Explainer) line(n *config.Node) string {
	text, ok := e.sources.Text(n.Range.File)
	r := n.Range
	if !ok || r.Start.Offset < 0 || r.End.Offset > len(text) || r.Start.Offset >= r.End.Offset {
		return n.Word
	}
	// The end of a range may stand in another line: an argument of a snippet.
	line, _, _ := strings.Cut(text[r.Start.Offset:r.End.Offset], "\n")
	return strings.TrimSuffix(strings.TrimSpace(line), " {")
}
