package matcher

import (
	"fmt"
	"strings"
	"sync"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Query is `query`: a parameter of the query, decoded.
var Query = Module{
	Spec: spec.Word{
		Name: "query", In: spec.InHTTPSite,
		Doc:     "A parameter of the query: that it is there, or that one of its values matches",
		Long:    "Names and values are compared decoded: `%20` and `+` are blanks.",
		Example: "@beta query beta=1 preview",
		Args: []spec.Arg{{Name: "NAME[=VALUE]", Kind: spec.String, Variadic: true,
			Doc: "a name, or a name and the pattern of its value; any of them"}},
	},
	New: func(args []config.Value) (Matcher, error) {
		var out query
		for i := range args {
			name, value, has := strings.Cut(args[i].Text, "=")
			if name == "" {
				return nil, at(args[i].Range, fmt.Errorf("%q names no parameter: write name=value", args[i].Text))
			}
			p := param{name: name, any: !has}
			if has {
				var err error
				if p.value, err = NewPattern(value, false); err != nil {
					return nil, at(args[i].Range, err)
				}
			}
			out = append(out, p)
		}
		return out, nil
	},
}

type param struct {
	name  string
	value Pattern
	any   bool
}

type query []param

// scratch holds decoded values: patterns may keep their argument from the stack.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

func (m query) Match(x *flow.Exchange) bool {
	name, value, rest, ok := flow.NextParam(x.Req.Query)
	for ; ok; name, value, rest, ok = flow.NextParam(rest) {
		for i := range m {
			p := &m[i]
			if !flow.EqualUnescaped(name, p.name) {
				continue
			}
			if p.any || matchUnescaped(&p.value, value) {
				return true
			}
		}
	}
	return false
}

func matchUnescaped(p *Pattern, raw []byte) bool {
	if !flow.Escaped(raw) {
		return p.Match(raw)
	}
	b := scratch.Get().(*[]byte)
	*b = flow.AppendUnescaped((*b)[:0], raw)
	ok := p.Match(*b)
	scratch.Put(b)
	return ok
}
