package graph

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/modules/matcher"
)

// key is a condition that a table can find: a request that fails every key of
// a set cannot match the expression that the set was made of.
type key struct {
	kind keyKind
	text string
}

type keyKind uint8

const (
	pathIs keyKind = iota
	pathBegins
	hostIs
	hostEnds // with ".example.com"
)

// maxKeys bounds a set, so that products of long lists stay small.
const maxKeys = 4096

// necessary gives alternative sets of keys: for each set, the expression can
// only be true if one of its keys is. None: nothing is known (`not`, methods,
// regular expressions).
func necessary(e *config.Expr) [][]key {
	switch e.Op {
	case config.Test:
		if k := testKeys(e); k != nil {
			return [][]key{k}
		}
		return nil
	case config.And: // what one part needs, the whole needs
		var out [][]key
		for i := range e.Kids {
			out = append(out, necessary(&e.Kids[i])...)
		}
		return out
	case config.Or: // one of the parts must be true: a set of each, joined
		var out []key
		for i := range e.Kids {
			sets := necessary(&e.Kids[i])
			if len(sets) == 0 {
				return nil
			}
			out = append(out, smallest(sets)...)
		}
		if len(out) > maxKeys {
			return nil
		}
		return [][]key{out}
	default:
		return nil
	}
}

func smallest(sets [][]key) []key {
	best := sets[0]
	for _, s := range sets[1:] {
		if len(s) < len(best) {
			best = s
		}
	}
	return best
}

// testKeys gives a key for each argument of `path` or `host`, nil if one of
// them has none.
func testKeys(e *config.Expr) []key {
	if e.Word != matcher.Path.Spec.Name && e.Word != matcher.Host.Spec.Name || len(e.Args) == 0 {
		return nil
	}
	out := make([]key, 0, len(e.Args))
	for i := range e.Args {
		k, ok := patternKey(e.Word, e.Args[i].Text)
		if !ok {
			return nil
		}
		out = append(out, k)
	}
	return out
}

func patternKey(word, text string) (key, bool) {
	host := word == matcher.Host.Spec.Name
	p, err := matcher.NewPattern(text, host)
	if err != nil {
		return key{}, false
	}
	s, exact := p.Exact()
	if !host {
		if exact {
			return key{pathIs, s}, true
		}
		s = p.Prefix()
		return key{pathBegins, s}, len(s) > 1 // every path begins with "/"
	}
	if exact {
		return key{hostIs, s}, true
	}
	s = p.Suffix()
	i := strings.IndexByte(s, '.')
	if i < 0 {
		return key{}, false
	}
	return key{hostEnds, s[i:]}, true
}
