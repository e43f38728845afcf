package explain

import (
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/matcher"
)

// looker is what a condition looks at: an exchange, or a stream.
type looker struct {
	x *flow.Exchange
	c *flow.Conn
}

// condition evaluates each test of an expression with the test's own matcher.
func (e *Explainer) condition(expr *config.Expr, at looker) *Condition {
	c := &Condition{Op: [...]string{config.Test: "test", config.And: "and", config.Or: "or", config.Not: "not"}[expr.Op]}
	if expr.Op == config.Test {
		c.Text = words(expr.Word, expr.Args)
		c.Value = at.value(expr)
		if c.Result = e.match(expr, at); c.Result {
			c.By = e.decider(expr, at)
		}
		return c
	}
	c.Result = expr.Op == config.And
	for i := range expr.Kids {
		kid := e.condition(&expr.Kids[i], at)
		c.Kids = append(c.Kids, *kid)
		switch expr.Op {
		case config.And:
			c.Result = c.Result && kid.Result
		case config.Or:
			c.Result = c.Result || kid.Result
		default:
			c.Result = !kid.Result
		}
	}
	return c
}

func (e *Explainer) match(expr *config.Expr, at looker) bool {
	if at.x == nil {
		m, err := matcher.CompileConn(expr, e.matchers)
		return err == nil && m.MatchConn(at.c) == matcher.Yes
	}
	m, err := matcher.Compile(expr, e.matchers)
	return err == nil && m.Match(at.x)
}

// decider finds the value of a test that is true by itself, if there are several.
func (e *Explainer) decider(expr *config.Expr, at looker) string {
	fixed := 0
	if expr.Word == "header" || expr.Word == "cookie" {
		fixed = 1
	}
	if len(expr.Args) <= fixed+1 {
		return ""
	}
	for i := fixed; i < len(expr.Args); i++ {
		one := *expr
		one.Args = append(append([]config.Value(nil), expr.Args[:fixed]...), expr.Args[i])
		if e.match(&one, at) {
			return expr.Args[i].Text
		}
	}
	return ""
}

func words(word string, args []config.Value) string {
	var b strings.Builder
	b.WriteString(word)
	for _, a := range args {
		if a.Text == "" && a.Range.IsZero() {
			continue
		}
		b.WriteByte(' ')
		if a.Text == "" || strings.ContainsAny(a.Text, " \t\"") {
			b.WriteString(strconv.Quote(a.Text))
		} else {
			b.WriteString(a.Text)
		}
	}
	return b.String()
}

// value gives what a test looks at.
func (l looker) value(e *config.Expr) string {
	switch e.Word {
	case "sni", "alpn":
		return l.hello(e.Word)
	case "client":
		if l.x != nil {
			return l.x.Client.String()
		}
		return l.c.Client.Addr().Unmap().String()
	case "port":
		if l.x != nil {
			return strconv.Itoa(int(l.x.Conn.Local.Port()))
		}
		return strconv.Itoa(int(l.c.Local.Port()))
	}
	if l.x == nil {
		return ""
	}
	switch r := &l.x.Req; e.Word {
	case "host":
		return string(r.Host)
	case "path":
		return string(r.Path)
	case "url":
		return string(r.Original)
	case "method":
		return r.Method
	case "scheme":
		return r.Scheme
	case "query":
		return orNone(string(r.Query))
	case "header":
		return orNone(joined(r, e.Args[0].Text))
	case "cookie":
		return orNone(cookie(r, e.Args[0].Text))
	}
	return ""
}

func (l looker) hello(word string) string {
	h := &flow.Hello{}
	switch {
	case l.c != nil && l.c.TLS != nil:
		h.ServerName, h.ALPN = l.c.TLS.ServerName, []string{l.c.TLS.ALPN}
	case l.c != nil && l.c.Hello != nil:
		h = l.c.Hello
	}
	if word == "sni" {
		return orNone(h.ServerName)
	}
	return orNone(strings.Join(h.ALPN, " "))
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func joined(r *flow.Request, name string) string {
	var all []string
	for v := range r.Header.Values(name) {
		all = append(all, string(v))
	}
	return strings.Join(all, ", ")
}

func cookie(r *flow.Request, want string) string {
	for field := range r.Header.Values("Cookie") {
		for rest := field; ; {
			name, value, more, ok := flow.NextCookie(rest)
			if !ok {
				break
			}
			if string(name) == want {
				return string(value)
			}
			rest = more
		}
	}
	return ""
}
