package lint

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// Pass is one run over one configuration, and what rules ask of it.
type Pass struct {
	Input
	rule *Rule
	list diag.List

	pools   map[string]*config.Pool
	users   map[string][]use // of each pool
	answers map[string]bool  // by place and word; see answering
	parsed  map[string]*syntax.File
	steps   int // of the rule that runs; see maxSteps
}

// use is one directive that sends traffic to a pool.
type use struct {
	site *config.Site
	node *config.Node
	when []*config.Expr // of the groups around it and its own; all must hold
}

func newPass(in Input) *Pass {
	p := &Pass{Input: in, pools: map[string]*config.Pool{}, users: map[string][]use{}, answers: map[string]bool{}, parsed: map[string]*syntax.File{}}
	if in.Config == nil {
		return p
	}
	for i := range in.Config.Pools {
		p.pools[in.Config.Pools[i].Name] = &in.Config.Pools[i]
	}
	for i := range in.Config.Sites {
		s := &in.Config.Sites[i]
		walk(s.Body, nil, func(n *config.Node, when []*config.Expr) {
			if n.Word == "proxy" {
				p.users[n.Text(0)] = append(p.users[n.Text(0)], use{s, n, when})
			}
		})
	}
	return p
}

// walk visits the directives of a body and of the groups in it, in order, with
// all the conditions that lead there.
func walk(body []config.Node, outer []*config.Expr, visit func(*config.Node, []*config.Expr)) {
	for i := range body {
		n := &body[i]
		when := outer
		if n.When != nil {
			when = also(outer, n.When)
		}
		visit(n, when)
		if n.Word == groupWord {
			walk(n.Body, when, visit)
		}
	}
}

// also gives conditions and one more, and leaves the slice alone.
func also(given []*config.Expr, e *config.Expr) []*config.Expr {
	return slices.Concat(given, []*config.Expr{e})
}

// groupWord is the directive that groups others, the first that matches only.
const groupWord = "handle"

func (p *Pass) mainFile() string {
	if p.Config != nil {
		return p.Config.File
	}
	for _, d := range p.list {
		return d.Range.File
	}
	return ""
}

// eachSite visits the sites.
func (p *Pass) eachSite(visit func(*config.Site)) {
	for i := range p.Config.Sites {
		visit(&p.Config.Sites[i])
	}
}

// eachPool visits the pools, inline ones among them.
func (p *Pass) eachPool(visit func(*config.Pool)) {
	for i := range p.Config.Pools {
		visit(&p.Config.Pools[i])
	}
}

// answering reports whether a directive answers whatever its matcher lets through.
func (p *Pass) answering(s *config.Site, n *config.Node) bool {
	where, key := spec.InHTTPSite, "http "+n.Word
	if s.TCP {
		where, key = spec.InTCPSite, "tcp "+n.Word
	}
	yes, known := p.answers[key]
	if !known {
		w := p.Vocabulary.Directive(where, n.Word)
		yes = w != nil && w.Answers
		p.answers[key] = yes
	}
	return yes
}

// servers gives the `server` directives of a pool.
func servers(p *config.Pool) []*config.Node { return config.Find(p.Body, "server") }

// serverPort gives the port of a server's address, "" of a socket's.
func serverPort(n *config.Node) (host, port string) {
	host, port, err := net.SplitHostPort(n.Text(1))
	if err != nil {
		return "", ""
	}
	return host, port
}

// written gives an option that the user wrote, nil if it is absent or stands
// there by its default only.
func written(n *config.Node, name string) *config.Node {
	if o := n.Option(name); o != nil && !o.Defaulted {
		return o
	}
	return nil
}

// optionsNamed gives the options of a name that stand in directives of a body
// (`timeout`), written ones only.
func optionsNamed(body []config.Node, word, name string) []*config.Node {
	var out []*config.Node
	for _, n := range config.Find(body, word) {
		if o := written(n, name); o != nil && !n.Defaulted {
			out = append(out, o)
		}
	}
	return out
}

// raw gives the text of a range as it stands in its file; "" if that is unknown.
func (p *Pass) raw(r diag.Range) string {
	text, ok := p.Sources.Text(r.File)
	if !ok || r.Start.Offset < 0 || r.End.Offset > len(text) || r.Start.Offset > r.End.Offset {
		return ""
	}
	return text[r.Start.Offset:r.End.Offset]
}

// tree gives the syntax tree of a file, nil if its text is unknown.
func (p *Pass) tree(file string) *syntax.File {
	if f, ok := p.parsed[file]; ok {
		return f
	}
	var f *syntax.File
	if text, ok := p.Sources.Text(file); ok {
		f, _ = syntax.Parse(file, []byte(text))
	}
	p.parsed[file] = f
	return f
}

// loopback reports whether a host is this machine's loopback.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// isOur reports whether a host surely is this machine.
func (p *Pass) isOur(host string) bool {
	if loopback(host) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || p.Env == nil {
		return false
	}
	for _, a := range p.Env.Addresses() {
		if a == ip.Unmap() {
			return true
		}
	}
	return false
}

// binds gives the addresses that a site's `bind` names, none: all of them.
func binds(s *config.Site) []config.Value {
	var out []config.Value
	for _, n := range config.Find(s.Body, "bind") {
		out = append(out, n.Args...)
	}
	return out
}
