package health

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

var httpExpectWord = spec.Word{
	Name: "expect", Doc: "what passes (without it: the statuses 200-399)", Repeat: true, Variant: "status",
	Example: "expect body ~\"ready|ok\"",
	Variants: []spec.Word{
		{Name: "status", Doc: "an answer with one of these statuses", Example: "expect 200-399 401",
			Args: []spec.Arg{{Name: "STATUS", Kind: spec.Statuses, Doc: "200, 200-399 or 2xx", Variadic: true}}},
		{Name: "header", Doc: "an answer with this header field", Example: "expect header X-Ready yes",
			Args: []spec.Arg{{Name: "NAME", Kind: spec.HeaderName, Doc: "its name"},
				{Name: "PATTERN", Kind: spec.String, Optional: true, Doc: "its whole value, or ~ and an RE2 expression (without: any)"}}},
		{Name: "body", Doc: "an answer whose body has this in it", Example: "expect body ready",
			Args: []spec.Arg{{Name: "PATTERN", Kind: spec.String, Doc: "a text that is found in it, or ~ and an RE2 expression"}}},
	},
}

// expectations are what an answer is held against.
type expectations struct {
	statuses []spec.StatusRange // nil: any
	headers  []field
	bodies   []pattern
}

type field struct {
	name    string
	any     bool
	pattern pattern
}

func newExpectations(n *config.Node) (e expectations, err error) {
	all := config.Find(n.Options, "expect")
	if len(all) == 0 {
		e.statuses = []spec.StatusRange{{From: 200, To: 399}}
	}
	for _, o := range all {
		switch o.Variant {
		case "header":
			f := field{name: o.Text(0), any: len(o.Args) < 2}
			if !f.any {
				f.pattern, err = newPattern(o.Args[1])
			}
			e.headers = append(e.headers, f)
		case "body":
			var p pattern
			p, err = newPattern(o.Args[0])
			e.bodies = append(e.bodies, p)
		default:
			for _, v := range o.Args {
				r, bad := spec.ParseStatuses(v.Text)
				if bad != nil {
					err = misuse(v.Range, "%v", bad)
				}
				e.statuses = append(e.statuses, r...)
			}
		}
		if err != nil {
			return e, err
		}
	}
	return e, nil
}

func (e *expectations) statusOnly() bool { return len(e.headers)+len(e.bodies) == 0 }

func (e *expectations) status(code int) bool {
	for _, r := range e.statuses {
		if r.From <= code && code <= r.To {
			return true
		}
	}
	return e.statuses == nil
}

// header gives the first expectation that is missed, "" if none is.
func (e *expectations) header(h *head) string {
	for i := range e.headers {
		want, found := &e.headers[i], false
		for _, f := range h.fields {
			found = found || strings.EqualFold(f[0], want.name) && (want.any || want.pattern.is([]byte(f[1])))
		}
		if !found {
			return want.name + " " + want.pattern.text
		}
	}
	return ""
}

// body gives the first expectation that is missed, "" if none is.
func (e *expectations) body(b []byte) string {
	for i := range e.bodies {
		if !e.bodies[i].in(b) {
			return "'" + e.bodies[i].text + "'"
		}
	}
	return ""
}
