package explain

import (
	"fmt"
	"io"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http1"
	"github.com/loadstar-lb/loadstar/modules/balancer"
	"github.com/loadstar-lb/loadstar/modules/graph"
	"github.com/loadstar-lb/loadstar/modules/handler"
	"github.com/loadstar-lb/loadstar/modules/persistence"
)

// web sends the request through its site.
func (w *way) web() error {
	x := &flow.Exchange{}
	got := &recorder{}
	got.x = x
	x.Begin(w.conn, got)
	var hd wire.Head
	if err := wire.ParseRequest(w.t.head(w.q), flow.DefaultLimits.Fields, &x.Req, &hd); err != nil {
		return fmt.Errorf("no request can be made of this: %w", err)
	}
	if w.conn.TLS != nil {
		x.Req.Scheme = "https"
	}
	site := w.l.Site(x)
	w.note(site.Name)
	s := &steps{way: w, x: x, site: site, revision: x.Req.Revision()}
	site.Walk(x, s.step)
	if w.a.Client = x.Client.String(); w.a.Client == w.a.From {
		w.a.Client = ""
	}
	if w.a.Outcome == "" {
		w.answered(got, x)
	}
	w.a.NotAsked += s.left(w.body(site.Name), len(s.top))
	return nil
}

// answered describes an answer that Loadstar makes itself.
func (w *way) answered(got *recorder, x *flow.Exchange) {
	w.a.Outcome, w.a.Status = Answered, got.status
	w.a.Header = got.header
	if e, ok := x.Record.Err.(*flow.Error); ok && e != nil {
		w.a.Reason = e.Cause
	}
}

// note names the site, with its place.
func (w *way) note(name string) {
	w.a.Site = name
	if s := w.e.site(name); s != nil {
		w.a.SiteAt = s.Range.String()
	} else {
		w.a.Site = ""
	}
}

func (w *way) body(site string) []config.Node {
	if s := w.e.site(site); s != nil {
		return s.Body
	}
	return nil
}

func (e *Explainer) site(name string) *config.Site {
	for i := range e.cfg.Sites {
		if e.cfg.Sites[i].Name == name {
			return &e.cfg.Sites[i]
		}
	}
	return nil
}

// steps follows a request from route to route.
type steps struct {
	*way
	x        *flow.Exchange
	site     *graph.Site
	depth    int
	ran      []bool // by depth: a group has run
	revision uint32
	top      []*config.Node // routes of the outermost block that were asked
}

func (s *steps) step(r *graph.Route, taken bool) (bool, error) {
	if s.depth == 0 {
		s.top = append(s.top, r.Node)
	}
	for len(s.ran) <= s.depth {
		s.ran = append(s.ran, false)
	}
	out := Route{Text: s.e.line(r.Node), At: r.Node.Range.String(), Depth: s.depth, Taken: taken, Skipped: r.Handle && s.ran[s.depth]}
	if r.When != nil && !out.Skipped {
		out.Condition = s.e.condition(r.When, looker{x: s.x})
	}
	s.a.Routes = append(s.a.Routes, out)
	at := len(s.a.Routes) - 1
	if !taken {
		return false, nil
	}
	effect, done, err := s.run(r)
	s.a.Routes[at].Effect = effect
	return done, err
}

// run does what a route does, as far as nothing leaves the process.
func (s *steps) run(r *graph.Route) (effect string, done bool, err error) {
	if chain, ok := r.Handler.(*graph.Chain); ok && r.Handle {
		s.ran[s.depth] = true
		s.depth++
		s.ran = append(s.ran[:s.depth], false)
		done, err = chain.Walk(s.x, s.step)
		s.depth--
		return "", done, err
	}
	if p, ok := r.Handler.(*handler.Proxy); ok {
		s.proxy(p)
		return "proxies to " + p.Pool.Name, true, nil
	}
	if r.Node.Word == "tarpit" { // it would keep us waiting, too
		s.a.Outcome, s.a.Status = Answered, int(r.Node.Int(1))
		s.a.Reason = "after " + time.Duration(r.Node.Int(0)).String()
		return "keeps the client waiting", true, nil
	}
	edits := snapshot(s.x)
	done, err = r.Handler.Handle(s.x)
	switch {
	case done:
		return "answers", done, err
	case err != nil:
		return "refuses", done, err
	case r.Node.Word == "stats" || r.Node.Word == "monitor": // their path is no matcher
		return "answers " + r.Node.Text(0) + " only", done, err
	default:
		return edits.difference(s.x), done, err
	}
}

// proxy readies the request as a try would, and looks at the pool.
func (s *steps) proxy(p *handler.Proxy) {
	x := s.x
	if p.Forwarded != nil {
		p.Forwarded.Apply(x)
	}
	ask := balancer.Ask{Client: x.Client, Exchange: x, Priority: p.Priority}
	if a := p.Pool.Affinity; a != nil {
		ask.Forced = a.Find(x, new(persistence.Visit))
	}
	s.a.Outcome, s.a.Target = Proxied, string(x.Req.Target)
	s.a.Header = fields(&x.Req.Header)
	s.choose(p.Pool, &ask)
}

// left counts the routes of the outermost block that were not asked.
func (s *steps) left(body []config.Node, asked int) int {
	if asked == 0 || s.a.Outcome == "" {
		return 0
	}
	last := s.top[asked-1]
	n, below := 0, false
	for i := range body {
		if below && (body[i].When != nil || s.e.routing(&body[i])) {
			n++
		}
		below = below || &body[i] == last || body[i].Range == last.Range
	}
	return n
}

// routing reports a directive that acts on traffic where it stands.
func (e *Explainer) routing(n *config.Node) bool {
	switch n.Word {
	case "error", "forwardfor", "trusted_proxies": // they speak of the whole site
		return false
	}
	return e.modules.Handler(n.Word) != nil || e.modules.Stream(n.Word) != nil
}

func fields(h *flow.Header) []Field {
	var out []Field
	for name, value := range h.All() {
		out = append(out, Field{string(name), string(value)})
	}
	return out
}

// recorder is the client's side of an answer that goes nowhere.
type recorder struct {
	x      *flow.Exchange
	status int
	header []Field
}

func (r *recorder) Inform(int, *flow.Header) error { return nil }

func (r *recorder) Start() error {
	r.status, r.header = r.x.Resp.Status, fields(&r.x.Resp.Header)
	return nil
}
func (r *recorder) Write(p []byte) (int, error) { return len(p), nil }

func (r *recorder) Relay(src io.Reader, n int64) (int64, error) {
	if n < 0 {
		return io.Copy(io.Discard, src)
	}
	return io.CopyN(io.Discard, src, n)
}
func (r *recorder) Flush() error                     { return nil }
func (r *recorder) Finish() error                    { return nil }
func (r *recorder) Abort(error)                      {}
func (r *recorder) Tunnel(func(flow.Stream, []byte)) {}
