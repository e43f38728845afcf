package handler

import (
	"errors"
	"fmt"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/template"
)

// Rewrite is `rewrite`: a change of the request's target.
var Rewrite = Module{
	Spec: spec.Word{
		Name: "rewrite", In: spec.InHTTPSite, Matcher: true, Repeat: true,
		Doc: "Changes the path (and the query) that directives below and servers see",
		Long: "The query stays unless the new target has a `?`. Routes above are not walked again. " +
			"`strip_prefix` works on whole segments: `/api` is taken off /api and /api/x, not off /apix.",
		Example: "rewrite strip_prefix /api",
		// The argument stands here rather than in the variants, so that the
		// path of `rewrite /index.html` is not taken for a matcher.
		Args: []spec.Arg{{Name: "PATH", Kind: spec.Template,
			Doc: "the new target, in which placeholders are percent-encoded; or a plain prefix"}},
		Variants: []spec.Word{
			{Name: "to", Doc: "the whole new target", Example: "rewrite to /index.html"},
			{Name: "strip_prefix", Doc: "takes a prefix off the path", Example: "rewrite strip_prefix /api"},
			{Name: "add_prefix", Doc: "puts a prefix before the path", Example: "rewrite add_prefix /v2"},
		},
		Variant: "to",
	},
	New: func(n *config.Node, _ *Env) (flow.Handler, error) {
		text := n.Text(0)
		switch n.Variant {
		case "strip_prefix":
			prefix, err := checkPrefix(text)
			return stripPrefix(prefix), err
		case "add_prefix":
			prefix, err := checkPrefix(text)
			return addPrefix(prefix), err
		default:
			return newRewrite(text)
		}
	},
}

// errBadRewrite is the client's fault: its request made a target that is none.
var errBadRewrite = &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 400, Cause: "the rewritten target is invalid", Err: flow.ErrTarget}

type rewrite struct {
	to    *template.Template
	query bool // the new target has a query of its own
}

func newRewrite(text string) (flow.Handler, error) {
	to, err := template.Compile(text)
	if err != nil {
		return nil, err
	}
	lit, placeholder := to.Lead()
	if !strings.HasPrefix(lit, "/") && (lit != "" || !rooted(placeholder)) {
		return nil, errors.New("the new target begins with a slash")
	}
	h := &rewrite{to: to}
	to.Walk(func(lit, placeholder string) {
		h.query = h.query || strings.Contains(lit, "?") || placeholder == "http.uri" || placeholder == "http.original_uri"
		if strings.Contains(lit, "#") {
			err = errors.New("a request's target has no fragment (#)")
		}
	})
	if s, ok := to.Static(); ok && err == nil {
		var r flow.Request
		if r.SetTarget([]byte(s)) != nil {
			err = fmt.Errorf("%q is no request target", s)
		}
	}
	return h, err
}

// Handle gives the request its new target.
func (h *rewrite) Handle(x *flow.Exchange) (bool, error) {
	b := h.to.AppendURL(x.Scratch[:0], x)
	if !h.query && x.Req.Query != nil {
		b = append(append(b, '?'), x.Req.Query...)
	}
	x.Scratch = b
	if x.Req.Rewrite(b) != nil {
		return false, errBadRewrite
	}
	return false, nil
}

// checkPrefix reads a prefix in normal form, without its final slash.
func checkPrefix(text string) (string, error) {
	var r flow.Request
	prefix := strings.TrimSuffix(text, "/")
	if err := r.SetTarget([]byte(prefix)); err != nil || string(r.Path) != prefix || r.Query != nil || prefix == "/" {
		return "", fmt.Errorf("%q is no path prefix: write a decoded path such as /api", text)
	}
	return prefix, nil
}

type stripPrefix string

// Handle takes the prefix off, if it is there.
func (h stripPrefix) Handle(x *flow.Exchange) (bool, error) {
	if _, err := x.Req.StripPrefix(string(h)); err != nil {
		return false, errBadRewrite
	}
	return false, nil
}

type addPrefix string

// Handle puts the prefix before the raw target, whose escapes stay as they came.
func (h addPrefix) Handle(x *flow.Exchange) (bool, error) {
	if len(x.Req.Target) == 0 || x.Req.Target[0] != '/' { // OPTIONS *, CONNECT
		return false, nil
	}
	x.Scratch = append(append(x.Scratch[:0], h...), x.Req.Target...)
	if x.Req.Rewrite(x.Scratch) != nil {
		return false, errBadRewrite
	}
	return false, nil
}
