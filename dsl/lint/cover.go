package lint

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
)

// implies reports whether b surely is true wherever a is; nil is always true. It
// says no where it is not certain.
func implies(a, b *config.Expr) bool {
	if b == nil {
		return true
	}
	if a == nil {
		return b.Op == config.Test && alwaysTrue(b)
	}
	switch b.Op { // what must hold
	case config.And:
		for i := range b.Kids {
			if !implies(a, &b.Kids[i]) {
				return false
			}
		}
		return true
	case config.Or:
		for i := range b.Kids {
			if implies(a, &b.Kids[i]) {
				return true
			}
		}
	}
	switch a.Op { // what is given
	case config.Or:
		for i := range a.Kids {
			if !implies(&a.Kids[i], b) {
				return false
			}
		}
		return true
	case config.And:
		for i := range a.Kids {
			if implies(&a.Kids[i], b) {
				return true
			}
		}
		return false
	case config.Not:
		return b.Op == config.Not && implies(&b.Kids[0], &a.Kids[0])
	default:
		return b.Op == config.Test && testImplies(a, b)
	}
}

// allImply is implies for conditions that all hold.
func allImply(given []*config.Expr, b *config.Expr) bool {
	if b == nil {
		return true
	}
	if b.Op == config.And {
		for i := range b.Kids {
			if !allImply(given, &b.Kids[i]) {
				return false
			}
		}
		return true
	}
	for _, a := range given {
		if implies(a, b) {
			return true
		}
	}
	return implies(nil, b)
}

// alwaysTrue reports a condition that every request fulfils.
func alwaysTrue(e *config.Expr) bool {
	for i := range e.Args {
		t := e.Args[i].Text
		stars := t != "" && strings.Trim(t, "*") == ""
		switch e.Word {
		case "path", "url":
			if stars || t == "/*" {
				return true
			}
		case "host":
			if stars {
				return true
			}
		}
	}
	return false
}

// testImplies compares two tests: each value of a must be covered by one of b.
func testImplies(a, b *config.Expr) bool {
	if alwaysTrue(b) {
		return true
	}
	if a.Word != b.Word || len(a.Args) == 0 {
		return false
	}
	have, want := a.Args, b.Args
	if a.Word == "header" || a.Word == "cookie" {
		if a.Args[0].Text != b.Args[0].Text && !(a.Word == "header" && strings.EqualFold(a.Args[0].Text, b.Args[0].Text)) {
			return false
		}
		if have, want = values(a.Args), values(b.Args); len(want) == 0 {
			return true // that it is there suffices
		}
		if len(have) == 0 {
			return false
		}
	}
	for i := range have {
		if !anyCovers(a.Word, want, have[i].Text) {
			return false
		}
	}
	return true
}

// values gives what stands behind the name; an absent optional value stands
// there as an empty one.
func values(args []config.Value) []config.Value {
	if len(args) == 2 && args[1].Text == "" {
		return nil
	}
	return args[1:]
}

func anyCovers(word string, want []config.Value, text string) bool {
	for i := range want {
		if valueCovers(word, want[i].Text, text) {
			return true
		}
	}
	return false
}

// valueCovers reports whether value w of a matcher takes all that value v does.
func valueCovers(word, w, v string) bool {
	if w == v {
		return true
	}
	switch word {
	case "host", "sni":
		return covers(strings.ToLower(w), strings.ToLower(v), true)
	case "path", "url", "alpn", "header", "cookie":
		return covers(w, v, false)
	case "client":
		a, ok := network(w)
		b, ok2 := network(v)
		return ok && ok2 && a.Bits() <= b.Bits() && a.Contains(b.Addr())
	default:
		return false
	}
}

// covers is pattern.covers for two texts; those of the usual shapes are compared
// as they are, because every route is compared with many.
func covers(w, v string, fold bool) bool {
	if w == v {
		return true
	}
	if w != "" && w[0] != '~' && (v == "" || v[0] != '~') {
		sign := strings.IndexAny(w, `*?\`)
		end := strings.IndexAny(v, `*?\`)
		switch {
		case sign < 0 && end < 0:
			return false // two texts that differ
		case sign < 0 && v[end] != '\\':
			return false // one text, and a glob that says more
		case sign > 0 && sign == len(w)-1 && w[sign] == '*' && (end < 0 || v[end] != '\\'):
			if end < 0 {
				end = len(v)
			}
			return strings.HasPrefix(v[:end], w[:sign])
		}
	}
	a, b := newPattern(w, fold), newPattern(v, fold)
	return a.covers(&b)
}

// disjoint reports whether two tests surely are never true together.
func disjoint(a, b *config.Expr) bool {
	if a.Word != b.Word {
		return false
	}
	switch a.Word {
	case "method", "port", "scheme", "host", "path", "sni":
	default:
		return false
	}
	for i := range a.Args {
		for j := range b.Args {
			if !apart(a.Word, a.Args[i].Text, b.Args[j].Text) {
				return false
			}
		}
	}
	return len(a.Args) > 0 && len(b.Args) > 0
}

// apart reports whether no string matches both values.
func apart(word, a, b string) bool {
	if word == "method" || word == "port" || word == "scheme" {
		return a != b
	}
	fold := word != "path"
	p, q := newPattern(a, fold), newPattern(b, fold)
	s, exact := p.exact()
	t, exact2 := q.exact()
	switch {
	case exact && exact2:
		return s != t
	case exact:
		return q.match(s) == no
	case exact2:
		return p.match(t) == no
	case p.isRegexp() || q.isRegexp() || len(p.glob) == 0 || len(q.glob) == 0:
		return false
	}
	x, y := p.glob[0], q.glob[0] // beginnings that do not go together
	return x.sign == 0 && y.sign == 0 && !strings.HasPrefix(x.lit, y.lit) && !strings.HasPrefix(y.lit, x.lit)
}
