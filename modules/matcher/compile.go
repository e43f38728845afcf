package matcher

import (
	"errors"
	"fmt"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// Rule is the name of the diagnostics that this package makes.
const Rule = "bad-matcher"

// Set is the matchers a configuration may use, by word.
type Set struct {
	modules []Module
	byWord  map[string]*Module
}

// NewSet gathers modules; of two with one word the later one counts.
func NewSet(modules ...Module) *Set {
	s := &Set{modules: modules, byWord: make(map[string]*Module, len(modules))}
	for i := range modules {
		s.byWord[modules[i].Spec.Name] = &modules[i]
	}
	return s
}

// Words gives the vocabulary of the set.
func (s *Set) Words() []spec.Word {
	out := make([]spec.Word, len(s.modules))
	for i := range s.modules {
		out[i] = s.modules[i].Spec
	}
	return out
}

// Compile makes the matcher of an expression in an HTTP site; nil for a nil
// expression, which means always. Its error is a diag.Diagnostic with a place.
func Compile(e *config.Expr, set *Set) (Matcher, error) {
	if e == nil {
		return nil, nil
	}
	if e.Op != config.Test {
		kids := make([]Matcher, len(e.Kids))
		for i := range e.Kids {
			k, err := Compile(&e.Kids[i], set)
			if err != nil {
				return nil, err
			}
			kids[i] = k
		}
		return join(e.Op, kids), nil
	}
	m, err := set.find(e)
	if err != nil {
		return nil, err
	}
	if m.New == nil {
		return nil, at(e.Range, fmt.Errorf("`%s` reads streams; this site is http", e.Word))
	}
	out, err := m.New(e.Args)
	if err != nil {
		return nil, at(e.Range, err)
	}
	return out, nil
}

// CompileConn is Compile for a tcp site.
func CompileConn(e *config.Expr, set *Set) (ConnMatcher, error) {
	if e == nil {
		return nil, nil
	}
	if e.Op != config.Test {
		kids := make([]ConnMatcher, len(e.Kids))
		for i := range e.Kids {
			k, err := CompileConn(&e.Kids[i], set)
			if err != nil {
				return nil, err
			}
			kids[i] = k
		}
		return joinConn(e.Op, kids), nil
	}
	m, err := set.find(e)
	if err != nil {
		return nil, err
	}
	if m.NewConn == nil {
		return nil, at(e.Range, fmt.Errorf("`%s` reads HTTP requests; this site is tcp", e.Word))
	}
	out, err := m.NewConn(e.Args)
	if err != nil {
		return nil, at(e.Range, err)
	}
	return out, nil
}

func (s *Set) find(e *config.Expr) (*Module, error) {
	if m := s.byWord[e.Word]; m != nil {
		return m, nil
	}
	return nil, at(e.Range, fmt.Errorf("unknown matcher %q", e.Word))
}

// at gives an error its place, unless it has one already.
func at(r diag.Range, err error) error {
	var d diag.Diagnostic
	if errors.As(err, &d) {
		if d.Range.IsZero() {
			d.Range = r
		}
		return d
	}
	return diag.Diagnostic{Range: r, Rule: Rule, Message: err.Error()}
}
