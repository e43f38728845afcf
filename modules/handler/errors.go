package handler

import (
	"errors"
	"strconv"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/template"
)

// ErrorPages are the bodies a site answers errors with. The zero value, and
// nil, has the built-in ones. It is not changed once the site serves.
type ErrorPages struct{ pages map[int]*page }

// page is one body: fixed bytes, or a template.
type page struct {
	contentType string
	body        []byte
	text        *template.Template
	html        bool
}

// ErrNoRoute is what a site answers with when none of its routes does: 503,
// flags SC, as HAProxy's frontends without a default_backend.
var ErrNoRoute = &flow.Error{Side: flow.SideServer, Phase: flow.PhaseConnect, Status: 503, Cause: "no route answers"}

// errInternal stands for an error that says nothing about itself.
func errInternal(err error) *flow.Error {
	return &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 500, Cause: "internal error", Err: err}
}

// Fail answers with the status and page of an error that a handler returned.
func (p *ErrorPages) Fail(x *flow.Exchange, err error) {
	e, ok := err.(*flow.Error) // the common case, without reflection
	if !ok && !errors.As(err, &e) {
		e = errInternal(err)
	}
	p.Respond(x, e)
}

// Respond answers with the error's status (flow.Error.StatusCode) and notes its
// flags in the record. An answer that has begun is cut instead, so that the
// client cannot take what it got for the whole, and one whose client has left is
// ended without an answer. What a server said is dropped. A call of gRPC gets its
// status in gRPC's own words.
func (p *ErrorPages) Respond(x *flow.Exchange, err *flow.Error) {
	x.Record.Err = err
	x.Record.Terminate(err.Flags())
	left := err.Side == flow.SideClient && (err.Phase == flow.PhaseQueue || err.Phase == flow.PhaseConnect)
	if left || x.Started() {
		x.Abort(err)
		return
	}
	status := err.StatusCode()
	x.Resp.Header.Reset(nil)
	x.Resp.Trailer.Reset(nil)
	if isGRPC(x) {
		if err := respondGRPC(x, err); err != nil {
			x.Abort(err)
		}
		return
	}
	x.Resp.Header.Add("Cache-Control", "no-store") // a fault must not outlive itself in a cache
	contentType, body := "text/html", builtin(status)
	if p != nil {
		if pg := p.pages[status]; pg != nil {
			contentType, body = pg.contentType, pg.render(x)
		}
	}
	if err := x.Respond(status, contentType, body); err != nil {
		x.Abort(err)
	}
}

func (p *page) render(x *flow.Exchange) []byte {
	switch {
	case p.text == nil:
		return p.body
	case p.html:
		x.Scratch = p.text.AppendHTML(x.Scratch[:0], x)
	default:
		x.Scratch = p.text.Append(x.Scratch[:0], x)
	}
	return x.Scratch
}

// builtins are the bodies of errors that no `error` directive speaks of.
var builtins = func() map[int][]byte {
	out := make(map[int][]byte, len(faults))
	for status := range faults {
		out[status] = buildBuiltin(status)
	}
	return out
}()

func builtin(status int) []byte {
	if b := builtins[status]; b != nil {
		return b
	}
	return buildBuiltin(status)
}

func buildBuiltin(status int) []byte {
	f, ok := faults[status]
	if !ok {
		f = fault{"Error", "The request could not be answered."}
	}
	return []byte("<!doctype html>\n<title>" + strconv.Itoa(status) + " " + f.reason + "</title>\n<h1>" +
		strconv.Itoa(status) + " " + f.reason + "</h1>\n" + f.text + "\n")
}

type fault struct{ reason, text string }

// faults names the statuses of errors (RFC 9110 §15.5, §15.6; RFC 6585) and
// says what one may make of them.
var faults = map[int]fault{
	400: {"Bad Request", "The request is malformed."},
	401: {"Unauthorized", "Please sign in."},
	403: {"Forbidden", "This request is not allowed."},
	404: {"Not Found", "There is nothing here."},
	405: {"Method Not Allowed", "This method is not allowed here."},
	408: {"Request Timeout", "The request did not come in time."},
	410: {"Gone", "What was here is gone."},
	413: {"Content Too Large", "The request is too large."},
	414: {"URI Too Long", "The address is too long."},
	417: {"Expectation Failed", "The request expects what is not to be had."},
	421: {"Misdirected Request", "This name is not served on this connection."},
	422: {"Unprocessable Content", "The request could not be processed."},
	425: {"Too Early", "The request came too early."},
	429: {"Too Many Requests", "Please slow down and try again later."},
	431: {"Request Header Fields Too Large", "The request's header is too large."},
	500: {"Internal Server Error", "Something went wrong."},
	501: {"Not Implemented", "This is not supported."},
	502: {"Bad Gateway", "The server gave no valid answer."},
	503: {"Service Unavailable", "No server is available to handle this request."},
	504: {"Gateway Timeout", "The server did not answer in time."},
	505: {"HTTP Version Not Supported", "This version of HTTP is not supported."},
}
