package balancer

import (
	"bytes"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

var urlParam = Module{
	Spec: spec.Word{
		Name: "url_param",
		Doc:  "The same server for the same value of a parameter of the query",
		Long: "The first parameter of that name counts, name and value as they were sent, escapes and all. Requests without it take turns. With " +
			"`check_post` the body of a POST is searched when the query has no such parameter: it is waited for, until it is whole or as long as LIMIT, " +
			"and then sent on whole.",
		Example: "balance url_param session check_post",
		Args:    []spec.Arg{{Name: "NAME", Kind: spec.String, Doc: "the parameter's name"}},
		Options: hashOptions(spec.Word{
			Name: "check_post", Doc: "search the body of a POST, too",
			Args: []spec.Arg{{Name: "LIMIT", Kind: spec.Size, Min: 1, Max: 1 << 20, Optional: true, Default: "16KiB",
				Doc: "how much of the body is waited for at most"}},
		}),
	},
	New: func(n *config.Node) (Policy, error) {
		if n.Text(0) == "" {
			return nil, refuse(n.Range, "the name of the parameter is empty")
		}
		k := &paramKey{name: n.Text(0)}
		p, err := newHash(n, k)
		if err != nil || !n.Has("check_post") {
			return p, err
		}
		k.post = int(n.OptionInt("check_post"))
		return &postPolicy{p.(*hashPolicy), k}, nil
	},
}

// postPolicy is url_param with check_post.
type postPolicy struct {
	*hashPolicy
	key *paramKey
}

// BodyLimit asks for the bodies that will be searched.
func (p *postPolicy) BodyLimit(x *flow.Exchange) int {
	if x.Req.Method != "POST" || !x.Req.HasBody() {
		return 0
	}
	if _, ok := p.key.query(&x.Req); ok {
		return 0
	}
	return p.key.post
}

// paramKey is the value of a parameter (HAProxy's get_server_ph and
// get_server_ph_post).
type paramKey struct {
	name string
	post int // bytes of a body to be searched, 0: none
}

func (*paramKey) needs() Need { return NeedsRequest }

func (k *paramKey) hash(a *Ask) (uint32, bool) {
	if a.Exchange == nil {
		return 0, false
	}
	v, ok := k.query(&a.Exchange.Req)
	if !ok && k.post > 0 {
		v, ok = k.find(a.Body)
		if len(v) > 0 {
			v, ok = formValue(v)
		}
	}
	if !ok {
		return 0, false
	}
	return sdbm(0, v), true
}

func (k *paramKey) query(r *flow.Request) ([]byte, bool) { return k.find(r.Query) }

// find gives the value of the first parameter of the name.
func (k *paramKey) find(params []byte) (value []byte, ok bool) {
	n := len(k.name)
	for len(params) > n {
		if params[n] == '=' && string(params[:n]) == k.name {
			value = params[n+1:]
			if i := bytes.IndexByte(value, '&'); i >= 0 {
				value = value[:i]
			}
			return value, true
		}
		i := bytes.IndexByte(params, '&')
		if i < 0 {
			break
		}
		params = params[i+1:]
	}
	return nil, false
}

// formValue takes a value in a body only if it may be one of a form, by its first
// byte, as HAProxy does: a body may be anything.
func formValue(v []byte) ([]byte, bool) {
	switch c := v[0]; {
	case c == ' ' || c == '\t' || c == '\r' || c == '\n':
		return nil, true
	case tokenByte(c):
		return v, true
	}
	return nil, false
}

// tokenByte reports whether c may stand in a token (RFC 9110 §5.6.2).
func tokenByte(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || bytes.IndexByte(tokenSigns, c) >= 0
}

var tokenSigns = []byte("!#$%&'*+-.^_`|~")
