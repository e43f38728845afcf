package lint

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
)

// truth is what is known of a condition.
type truth uint8

const (
	no truth = iota
	unknown
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// eval tells whether an expression is true of a request; nil always is.
func eval(e *config.Expr, r *request) truth {
	if e == nil {
		return yes
	}
	switch e.Op {
	case config.Test:
		return test(e, r)
	case config.Not:
		return yes - eval(&e.Kids[0], r)
	case config.And:
		out := yes
		for i := range e.Kids {
			out = min(out, eval(&e.Kids[i], r))
		}
		return out
	default:
		out := no
		for i := range e.Kids {
			out = max(out, eval(&e.Kids[i], r))
		}
		return out
	}
}

func test(e *config.Expr, r *request) truth {
	switch e.Word {
	case "host":
		if r.hostLost {
			return unknown
		}
		return anyPattern(e.Args, r.host, true)
	case "path":
		if r.pathLost {
			return unknown
		}
		return anyPattern(e.Args, r.path, false)
	case "url":
		if r.pathLost {
			return unknown
		}
		return anyPattern(e.Args, r.target(), false)
	case "sni":
		return anyPattern(e.Args, r.sni, true)
	case "alpn":
		return anyPattern(e.Args, r.alpn, false)
	case "header":
		return field(e.Args, r.fields, strings.EqualFold)
	case "cookie":
		return field(e.Args, r.cookies, func(a, b string) bool { return a == b })
	case "query":
		if r.pathLost {
			return unknown
		}
		return query(e.Args, r.query)
	}
	return anyValue(e, r)
}

// anyValue tests the words whose values are compared one by one.
func anyValue(e *config.Expr, r *request) truth {
	out := no
	for i := range e.Args {
		text := e.Args[i].Text
		switch e.Word {
		case "method":
			out = max(out, truthOf(text == r.method))
		case "port":
			out = max(out, truthOf(text == strconv.Itoa(int(r.port))))
		case "scheme":
			out = max(out, truthOf(text == r.scheme))
		case "client":
			n, ok := network(text)
			if !ok {
				return unknown
			}
			out = max(out, truthOf(n.Contains(r.client)))
		default:
			return unknown
		}
	}
	return out
}

func anyPattern(args []config.Value, s string, fold bool) truth {
	out := no
	for i := range args {
		p := newPattern(args[i].Text, fold)
		out = max(out, p.match(s))
	}
	return out
}

// field tests NAME [VALUE…] against the fields a request has.
func field(args []config.Value, have [][2]string, same func(a, b string) bool) truth {
	out := no
	for _, f := range have {
		if !same(f[0], args[0].Text) {
			continue
		}
		if len(args) == 1 || len(args) == 2 && args[1].Text == "" {
			return yes
		}
		out = max(out, anyPattern(args[1:], f[1], false))
	}
	return out
}

func query(args []config.Value, have string) truth {
	out := no
	for i := range args {
		if args[i].Text == have && have != "" {
			return yes
		}
		if have != "" {
			out = unknown
		}
	}
	return out
}

// network reads a network or an address.
func network(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	n, err := netip.ParsePrefix(text)
	return n.Masked(), err == nil && !n.Addr().Is4In6()
}

// fate is what becomes of a request in a block.
type fate uint8

const (
	falls    fate = iota // nothing answers it
	open                 // it cannot be foreseen
	answered             // a directive answers it
)

// maxSteps bounds the directives that one rule looks at by way of made-up
// requests. Rules that follow one for each directive of a long site would
// otherwise take time by the square of its length; they fall silent instead.
const maxSteps = 500_000

// tired counts a step, and reports that there were enough.
func (p *Pass) tired() bool {
	p.steps++
	return p.steps > maxSteps
}

// follow sends a request through a block, from top to bottom.
func (p *Pass) follow(s *config.Site, body []config.Node, r *request) fate {
	handled := false
	for i := range body {
		n := &body[i]
		if p.tired() {
			return open
		}
		if n.Word == groupWord && handled {
			continue
		}
		match := eval(n.When, r)
		if match == no {
			continue
		}
		if match == unknown {
			if n.Word == groupWord || n.Word == "rewrite" || n.Word == "header" || p.answering(s, n) {
				return open
			}
			continue
		}
		switch {
		case n.Word == groupWord:
			handled = true
			if f := p.follow(s, n.Body, r); f != falls {
				return f
			}
		case n.Word == "rewrite":
			r.rewrite(n)
		case n.Word == "header" && n.Variant == "request":
			r.lose(n)
		case p.answering(s, n):
			return answered
		}
	}
	return falls
}

// rewrite does what a `rewrite` does, as far as it can be foreseen.
func (r *request) rewrite(n *config.Node) {
	to := n.Text(0)
	switch {
	case strings.Contains(to, "{") || r.pathLost:
		r.pathLost = true
	case n.Variant == "to":
		path, query, has := strings.Cut(to, "?")
		r.path = path
		if has {
			r.query = query
		}
	case n.Variant == "add_prefix":
		r.path = strings.TrimSuffix(to, "/") + r.path
	default:
		prefix := strings.TrimSuffix(to, "/")
		if rest, ok := strings.CutPrefix(r.path, prefix); ok && (rest == "" || rest[0] == '/') {
			if r.path = rest; rest == "" {
				r.path = "/"
			}
		}
	}
}

// lose forgets what a `header request` may have changed.
func (r *request) lose(n *config.Node) {
	if strings.EqualFold(strings.TrimLeft(n.Text(0), "+-"), "host") {
		r.hostLost = true
	}
}
