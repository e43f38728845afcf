package handler

import (
	"fmt"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/template"
)

// Respond is `respond`: a fixed answer.
var Respond = Module{
	Spec: spec.Word{
		Name: "respond", In: spec.InHTTPSite, Matcher: true, Answers: true, Repeat: true,
		Doc:     "Answers with a status and a body",
		Example: `respond /healthz 200 "ok\n"`,
		Args: []spec.Arg{
			{Name: "STATUS", Kind: spec.Status, Optional: true, Default: "200", Doc: "the status, 200 to 599"},
			{Name: "BODY", Kind: spec.Template, Optional: true, Doc: "the body; empty without it"},
		},
		Options: []spec.Word{
			{Name: "type", Doc: "the body's media type; in HTML and XML placeholders are escaped", Default: `"text/plain; charset=utf-8"`,
				Args: []spec.Arg{{Name: "TYPE", Kind: spec.String, Doc: "such as application/json"}}},
		},
	},
	New: func(n *config.Node, _ *Env) (flow.Handler, error) {
		h := &respond{contentType: n.OptionText("type"), status: int(n.Int(0))}
		text := n.Text(1)
		switch {
		case h.status < 200 || h.status > 599:
			return nil, fmt.Errorf("respond sends final answers: a status from 200 to 599, not %q", n.Text(0))
		case text != "" && !flow.BodyAllowed("GET", h.status):
			return nil, fmt.Errorf("an answer with status %d has no body", h.status)
		}
		if err := checkValue(h.contentType); err != nil {
			return nil, err
		}
		t, err := template.Compile(text)
		if err != nil {
			return nil, err
		}
		if s, ok := t.Static(); ok {
			h.body = []byte(s)
		} else {
			h.text, h.html = t, isMarkup(h.contentType)
		}
		return h, nil
	},
}

type respond struct {
	status      int
	contentType string
	body        []byte
	text        *template.Template
	html        bool
}

// Handle answers; the flags are those of HAProxy's http-request return.
func (h *respond) Handle(x *flow.Exchange) (bool, error) {
	body := h.body
	switch {
	case h.text == nil:
	case h.html:
		x.Scratch = h.text.AppendHTML(x.Scratch[:0], x)
		body = x.Scratch
	default:
		x.Scratch = h.text.Append(x.Scratch[:0], x)
		body = x.Scratch
	}
	x.Record.Terminate('L', 'R')
	return true, x.Respond(h.status, h.contentType, body)
}
