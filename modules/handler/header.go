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

// Header is `header`: a change of a header field.
var Header = Module{
	Spec: spec.Word{
		Name: "header", In: spec.InHTTPSite, Matcher: true, Repeat: true,
		Doc: "Sets, adds (+NAME) or deletes (-NAME) a field of the answer's header, or of the request's",
		Long: "Answers are changed just before they leave, in the order of the directives, error pages included. " +
			"`header request Host NAME` also changes the host that directives below it see. " +
			"Fields that frame messages (Content-Length, Transfer-Encoding, Connection and their like) cannot be changed.",
		Example: `header response -Server`,
		Args: []spec.Arg{
			{Name: "[+|-]NAME", Kind: spec.String, Doc: "the field's name; + adds a line, - deletes all of them, nothing replaces them"},
			{Name: "VALUE", Kind: spec.Template, Optional: true, Doc: "the new value"},
		},
		Variants: []spec.Word{
			{Name: "request", Doc: "the request's header, as servers get it", Example: "header request X-Site {site.name}"},
			{Name: "response", Doc: "the answer's header", Example: "header response X-Frame-Options DENY"},
		},
		Variant: "response",
	},
	New: func(n *config.Node, _ *Env) (flow.Handler, error) {
		e, err := newEdit(n.Text(0), n.Text(1))
		if err != nil {
			return nil, err
		}
		if n.Variant == "request" {
			if e.id == flow.FieldHost && e.op != set {
				return nil, errors.New("a request has one Host: it can be set, neither added to nor deleted")
			}
			return requestHeader{e}, nil
		}
		return responseHeader{e}, nil
	},
}

type op byte

const (
	set    op = 0
	add    op = '+'
	remove op = '-'
)

// edit is one change of a header.
type edit struct {
	op    op
	id    flow.ID
	name  string
	bytes []byte // name
	value *template.Template
}

func newEdit(name, value string) (*edit, error) {
	e := &edit{}
	if name != "" && (name[0] == '+' || name[0] == '-') {
		e.op, name = op(name[0]), name[1:]
	}
	if !isToken(name) {
		return nil, fmt.Errorf("%q is no field name", name)
	}
	e.name, e.bytes, e.id = name, []byte(name), flow.Lookup(name)
	if why := framing(name); why != "" {
		return nil, fmt.Errorf("%s cannot be changed: %s", name, why)
	}
	switch {
	case e.op == remove && value != "":
		return nil, fmt.Errorf("-%s deletes every line of the field; it takes no value", name)
	case e.op != remove && value == "":
		return nil, fmt.Errorf("the value of %s is missing (to delete the field write -%s)", name, name)
	}
	if err := checkValue(value); err != nil {
		return nil, err
	}
	var err error
	e.value, err = template.Compile(value)
	return e, err
}

// apply changes h; x fills in the value. It builds behind what Scratch holds:
// that may be the body of the answer which is about to leave.
func (e *edit) apply(x *flow.Exchange, h *flow.Header) {
	if e.op == remove {
		h.Del(e.name)
		return
	}
	n := len(x.Scratch)
	b := e.value.Append(x.Scratch, x)
	x.Scratch = b[:n]
	if e.op == add {
		h.AddBytes(e.bytes, b[n:])
		return
	}
	h.SetBytes(e.name, b[n:])
}

type requestHeader struct{ *edit }

// Handle changes the request's header at once. A Host that is none is refused
// with 400: it would have come from the client.
func (h requestHeader) Handle(x *flow.Exchange) (bool, error) {
	if h.id != flow.FieldHost {
		h.apply(x, &x.Req.Header)
		return false, nil
	}
	x.Scratch = h.value.Append(x.Scratch[:0], x)
	if err := x.Req.SetAuthority(x.Scratch); err != nil {
		return false, errBadHost
	}
	return false, nil
}

var errBadHost = &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 400, Cause: "the rewritten host is no host", Err: flow.ErrTarget}

type responseHeader struct{ *edit }

// Handle asks to be called again when the answer leaves.
func (h responseHeader) Handle(x *flow.Exchange) (bool, error) {
	x.AddEdit(h)
	return false, nil
}

// OnResponse changes the answer's header.
func (h responseHeader) OnResponse(x *flow.Exchange) { h.apply(x, &x.Resp.Header) }

// framing tells why a field is not the user's to change.
func framing(name string) string {
	switch flow.Lookup(strings.ReplaceAll(name, "_", "-")) {
	case flow.FieldContentLength, flow.FieldTransferEncoding, flow.FieldTrailer:
		return "it frames the message"
	case flow.FieldConnection, flow.FieldKeepAlive, flow.FieldProxyConnection, flow.FieldTE, flow.FieldUpgrade,
		flow.FieldHTTP2Settings, flow.FieldExpect:
		return "it belongs to one connection, not to the message (RFC 9110 §7.6.1)"
	default:
		return ""
	}
}

// isToken tells a token of RFC 9110 §5.6.2, which is what names are.
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// checkValue refuses text that cannot stand in a header line.
func checkValue(s string) error {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return fmt.Errorf("a header value has no control characters such as %q", c)
		}
	}
	return nil
}
