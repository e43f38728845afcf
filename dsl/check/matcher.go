package check

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// names are the named matchers of one block and those around it.
type names struct {
	up    *names
	known map[string]*matcher
	order []*matcher
}

// matcher is a definition `@name EXPRESSION`.
type matcher struct {
	name  string
	words []word // of the expression
	at    place  // of the name
	expr  config.Expr
	state state
	used  bool
	size  int // conditions in it, those of matchers that it names included
}

type state uint8

const (
	unread state = iota
	reading
	done
)

func isMatcherName(w word) bool { return w.plain && len(w.text) > 1 && w.text[0] == '@' }

func (n *names) find(name string) *matcher {
	for ; n != nil; n = n.up {
		if m := n.known[name]; m != nil {
			return m
		}
	}
	return nil
}

func (n *names) all() []string {
	var out []string
	for ; n != nil; n = n.up {
		for _, m := range n.order {
			out = append(out, "@"+m.name)
		}
	}
	return out
}

// defineMatchers gathers the named matchers of a block, so that directives may
// use them wherever they stand in it.
func (c *checker) defineMatchers(in []stmt, up *names) *names {
	var here *names
	for _, st := range in {
		name := st.name()
		if !isMatcherName(name) {
			continue
		}
		if here == nil {
			here = &names{up: up, known: map[string]*matcher{}}
		}
		c.defineMatcher(st, here)
	}
	if here == nil {
		return up
	}
	return here
}

func (c *checker) defineMatcher(st stmt, here *names) {
	at := st.name()
	m := &matcher{name: at.text[1:], words: st.words[1:], at: at.place}
	if !isIdent(m.name) {
		c.errorf(at.place, "bad-name", "%q is no name for a matcher: use letters, digits, _, - and .", at.text)
		return
	}
	if st.block != nil {
		c.errorf(place{st.block.Open, st.from}, "unexpected-block", "a matcher takes no block")
	}
	if first := here.find(m.name); first != nil {
		d := c.errorf(at.place, "duplicate-matcher", "the matcher @%s is defined twice", m.name)
		d.Labels = append([]diag.Label{{Range: first.at.rng, Message: "first defined here"}}, d.Labels...)
		return
	}
	here.known[m.name] = m
	here.order = append(here.order, m)
}

// keepMatchers records the matchers of a block after its directives were read.
func (c *checker) keepMatchers(sc scope, up *names) {
	if sc.names == up {
		return
	}
	for _, m := range sc.names.order {
		c.resolve(m, sc)
		c.matchers = append(c.matchers, m)
		sc.site.Matchers = append(sc.site.Matchers, config.Matcher{Name: m.name, Expr: m.expr, Used: m.used, Range: m.at.rng})
	}
}

// named gives the expression of a matcher that a directive or another matcher
// names; nil if there is none.
func (c *checker) named(w word, sc scope) *config.Expr {
	m := sc.names.find(w.text[1:])
	if m == nil {
		d := c.errorf(w.place, "undefined-name", "there is no matcher %s in this site", w.text)
		if len(c.errs) > maxGuesses || !suggest(d, w.text, sc.names.all()) {
			d.Help = append(d.Help, "a matcher is defined by `"+w.text+" EXPRESSION` in the same block or one around it")
		}
		return nil
	}
	m.used = true
	if m.state == reading {
		c.errorf(w.place, "matcher-loop", "the matcher %s is defined by itself", w.text)
		return nil
	}
	if c.nested++; c.nested > maxExprDepth {
		c.errorf(w.place, "too-deep", "matchers may name each other %d deep", maxExprDepth)
	} else {
		c.resolve(m, sc)
	}
	c.nested--
	// What is named is read once, but tried wherever it is named.
	if c.conditions += m.size; c.conditions > maxConditions {
		c.exhaust(w.place)
	}
	return &m.expr
}

func (c *checker) resolve(m *matcher, sc scope) {
	if m.state != unread {
		return
	}
	m.state = reading
	r := &exprReader{c: c, sc: sc, toks: splitParens(m.words), at: m.at}
	if len(m.words) == 0 {
		d := c.errorf(m.at, "missing-argument", "the matcher @%s has no expression", m.name)
		d.Help = append(d.Help, "for example: @"+m.name+" path /img/* *.png and not client 10.0.0.0/8")
	} else if e, ok := r.or(); ok {
		m.expr = e
		if t, more := r.next(); more {
			r.unexpected(t)
		}
	}
	m.size = r.size
	m.expr.Range = m.at.rng
	if n := len(m.words); n > 0 && m.words[n-1].rng.File == m.at.rng.File && m.words[n-1].rng.End.Offset > m.at.rng.End.Offset {
		m.expr.Range.End = m.words[n-1].rng.End
	}
	m.state = done
}
