package matcher

import "github.com/loadstar-lb/loadstar/dsl/config"

// Patterns is an "either" over patterns. Literals stand in a table, so that a
// list of a thousand names costs what one does.
type Patterns struct {
	exact map[string]struct{}
	rest  []Pattern
}

// NewPatterns compiles the texts of values; see NewPattern for fold.
func NewPatterns(args []config.Value, fold bool) (*Patterns, error) {
	ps := &Patterns{}
	for i := range args {
		p, err := NewPattern(args[i].Text, fold)
		if err != nil {
			return nil, at(args[i].Range, err)
		}
		if s, ok := p.Exact(); ok {
			if ps.exact == nil {
				ps.exact = make(map[string]struct{})
			}
			ps.exact[s] = struct{}{}
			continue
		}
		ps.rest = append(ps.rest, p)
	}
	return ps, nil
}

// Match reports whether one of the patterns matches.
func (ps *Patterns) Match(b []byte) bool {
	if ps.exact != nil {
		if _, ok := ps.exact[string(b)]; ok {
			return true
		}
	}
	for i := range ps.rest {
		if ps.rest[i].Match(b) {
			return true
		}
	}
	return false
}

// MatchString is Match for a string.
func (ps *Patterns) MatchString(s string) bool {
	if _, ok := ps.exact[s]; ok {
		return true
	}
	for i := range ps.rest {
		if ps.rest[i].MatchString(s) {
			return true
		}
	}
	return false
}
