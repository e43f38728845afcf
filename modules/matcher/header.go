package matcher

import (
	"fmt"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Header is `header`: a field of the request's header.
var Header = Module{
	Spec: spec.Word{
		Name: "header", In: spec.InHTTPSite,
		Doc:     "A field of the request's header: that it is there, or that one of its lines matches",
		Long:    "A field that stands on several lines matches when one of them does; a line is compared as a whole, with its commas.",
		Example: "@ws header Upgrade ~(?i)websocket",
		Args: []spec.Arg{
			{Name: "NAME", Kind: spec.HeaderName, Doc: "the field's name, in any case"},
			{Name: "VALUE", Kind: spec.Pattern, Variadic: true, Optional: true, Doc: "patterns of the value; any of them"},
		},
	},
	New: func(args []config.Value) (Matcher, error) {
		name, ps, err := named(args)
		if err != nil {
			return nil, err
		}
		if !isToken(name) {
			return nil, at(args[0].Range, fmt.Errorf("%q is no field name", name))
		}
		return &header{name, flow.Lookup(name), ps}, nil
	},
}

// named reads NAME [VALUE…]; nil patterns mean that the name suffices.
func named(args []config.Value) (string, *Patterns, error) {
	if len(args) == 0 || args[0].Text == "" {
		return "", nil, fmt.Errorf("the name is missing")
	}
	values := args[1:]
	if len(values) == 0 || len(values) == 1 && values[0].Text == "" && values[0].Range.IsZero() {
		return args[0].Text, nil, nil
	}
	ps, err := NewPatterns(values, false)
	return args[0].Text, ps, err
}

// isToken tells a token of RFC 9110 §5.6.2, which is what names are.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c <= ' ' || c >= 0x7f {
			return false
		}
		switch c {
		case '"', '(', ')', ',', '/', ':', ';', '<', '=', '>', '?', '@', '[', '\\', ']', '{', '}':
			return false
		}
	}
	return s != ""
}

type header struct {
	name   string
	id     flow.ID
	values *Patterns
}

func (m *header) Match(x *flow.Exchange) bool {
	h := &x.Req.Header
	for i := range h.Len() {
		id, name, value, ok := h.At(i)
		if !ok || id != m.id || id == flow.Unknown && !flow.EqualFold(name, m.name) {
			continue
		}
		if m.values == nil || m.values.Match(value) {
			return true
		}
	}
	return false
}
