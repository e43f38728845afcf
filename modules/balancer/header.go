package balancer

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

var header = Module{
	Spec: spec.Word{
		Name: "header",
		Doc:  "The same server for the same value of a header field",
		Long: "The first value counts, up to a comma, of the first field of that name. Requests without one take turns. With " +
			"`domain_only`, made for `Host`, only the domain's own name counts: `example` of `www.example.com`.",
		Example: "balance header X-Tenant maglev",
		Args:    []spec.Arg{{Name: "NAME", Kind: spec.HeaderName, Doc: "the field's name"}},
		Options: hashOptions(spec.Word{Name: "domain_only", Doc: "only what stands before the last dot, back to the dot before it"}),
	},
	New: func(n *config.Node) (Policy, error) {
		return newHash(n, &headerKey{name: n.Text(0), id: flow.Lookup(n.Text(0)), domain: n.Has("domain_only")})
	},
}

// headerKey is the first value of a field (HAProxy's get_server_hh).
type headerKey struct {
	name   string
	id     flow.ID
	domain bool
}

func (*headerKey) needs() Need { return NeedsRequest }

func (k *headerKey) hash(a *Ask) (uint32, bool) {
	if a.Exchange == nil {
		return 0, false
	}
	v := k.find(&a.Exchange.Req.Header)
	if len(v) == 0 {
		return 0, false
	}
	if k.domain {
		v = domain(v)
	}
	return sdbm(0, v), true
}

// find gives the first value of the first field of the name, be it empty.
func (k *headerKey) find(h *flow.Header) []byte {
	for i := range h.Len() {
		id, name, value, ok := h.At(i)
		if !ok || id != k.id || id == flow.Unknown && !flow.EqualFold(name, k.name) {
			continue
		}
		return firstOf(value)
	}
	return nil
}

// firstOf gives what stands before the first comma outside a quoted string (RFC
// 9110 §5.6.1, §5.6.4), without blanks around it.
func firstOf(v []byte) []byte {
	quoted, escaped := false, false
	for i, c := range v {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return trim(v[:i])
		}
	}
	return trim(v)
}

func trim(v []byte) []byte {
	for len(v) > 0 && (v[0] == ' ' || v[0] == '\t') {
		v = v[1:]
	}
	for len(v) > 0 && (v[len(v)-1] == ' ' || v[len(v)-1] == '\t') {
		v = v[:len(v)-1]
	}
	return v
}

// domain gives what stands before the last dot, back to the dot before it; all of
// a value without dots. A dot at the very start counts as none, as in HAProxy.
func domain(v []byte) []byte {
	end := len(v)
	for end--; end > 0 && v[end] != '.'; end-- {
	}
	if end <= 0 {
		return v
	}
	start := end - 1
	for start > 0 && v[start-1] != '.' {
		start--
	}
	return v[start:end]
}
