package handler

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/template"
)

// Redirect is `redirect`: an answer that sends the client elsewhere.
var Redirect = Module{
	Spec: spec.Word{
		Name: "redirect", In: spec.InHTTPSite, Matcher: true, Answers: true, Repeat: true,
		Doc: "Answers with a redirection",
		Long: "301 and 302 let a client change POST to GET, 303 asks for it, 307 and 308 forbid it; 301 and 308 may be remembered for ever. " +
			"The host to go to cannot come from a header, a cookie or the query, because such a redirect could be turned against visitors.",
		Example: "redirect /old/* https://{http.host}/new/ 301",
		Args: []spec.Arg{
			{Name: "TO", Kind: spec.Template, Doc: "a URL, or a path of this host; placeholders are percent-encoded"},
			{Name: "STATUS", Kind: spec.Enum, Words: []string{"301", "302", "303", "307", "308"}, Optional: true, Default: "302",
				Doc: "the status (RFC 9110 §15.4)"},
		},
	},
	New: func(n *config.Node, _ *Env) (flow.Handler, error) {
		status, err := strconv.Atoi(n.Text(1))
		if err != nil || status < 301 || status > 308 {
			return nil, fmt.Errorf("%q is no status of a redirection", n.Text(1))
		}
		to, err := template.Compile(n.Text(0))
		if err != nil {
			return nil, err
		}
		if err := checkLocation(to); err != nil {
			return nil, err
		}
		lit, _ := to.Lead()
		return &redirect{to: to, status: status, local: !strings.HasPrefix(lit, "//")}, nil
	},
}

type redirect struct {
	to     *template.Template
	status int
	local  bool // "//host" cannot be meant
}

// Handle answers without a body; the flags are those of HAProxy's redirect.
func (h *redirect) Handle(x *flow.Exchange) (bool, error) {
	x.Scratch = h.to.AppendURL(x.Scratch[:0], x)
	to := x.Scratch
	if h.local { // "//evil.example" as a path must not become a host
		for len(to) > 1 && to[0] == '/' && to[1] == '/' {
			to = to[1:]
		}
	}
	x.Resp.Header.AddID(flow.FieldLocation, to)
	x.Record.Terminate('L', 'R')
	return true, x.Respond(h.status, "", nil)
}

// checkLocation refuses what is no URL, and open redirects: templates whose
// host a client could choose.
func checkLocation(t *template.Template) error {
	var err error
	host, text := true, "" // whether what comes next can still be part of scheme or host
	t.Walk(func(lit, placeholder string) {
		switch {
		case placeholder == "":
			for i := range len(lit) {
				if c := lit[i]; c <= ' ' || c >= 0x7f || c == '\\' {
					err = fmt.Errorf("a URL has no %q; write it percent-encoded", lit[i:i+1])
				}
			}
			text += lit
			host = host && openHost(text)
		case !host:
		case rooted(placeholder):
			host = false
		case !harmless(placeholder):
			err = fmt.Errorf("an open redirect: {%s} lets the client choose the host; put a host and a slash before it", placeholder)
		default:
			text += "x"
		}
	})
	if err == nil && text == "" && host {
		return errors.New("the redirection's target is empty")
	}
	return err
}

// openHost tells whether text may still be inside a URL's scheme or host.
func openHost(text string) bool {
	if i := strings.Index(text, "//"); i == 0 || i > 0 && text[i-1] == ':' && !strings.ContainsAny(text[:i], "/?#") {
		return !strings.ContainsAny(text[i+2:], "/?#")
	}
	return !strings.ContainsAny(text, "/?#")
}

// rooted placeholders begin with a slash: a host ends before them.
func rooted(placeholder string) bool {
	return placeholder == "http.uri" || placeholder == "http.path" || placeholder == "http.original_uri"
}

// harmless placeholders may stand in a host: the site's own names, and the
// host that the client asked for in the first place.
func harmless(placeholder string) bool {
	switch placeholder {
	case "http.scheme", "http.host", "http.authority", "server.ip", "server.port", "site.name", "client.ip":
		return true
	default:
		return false
	}
}
