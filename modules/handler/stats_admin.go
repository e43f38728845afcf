package handler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/overlay"
	"github.com/loadstar-lb/loadstar/modules/stats"
)

// maxForm bounds a form's size in bytes: a page has 200 servers.
const maxForm = 64 << 10

// post takes an order. It must come from a page of ours that was given to the same
// user: a browser can be made to send any form by any site, and sends the password
// along.
func (h *statsPage) post(x *flow.Exchange) error {
	switch {
	case !h.may(x):
		return h.refuse(x, 403, "You may look, but not change anything.")
	case !sameOrigin(x):
		return h.refuse(x, 403, "The order does not come from this page.")
	case !isForm(x.Req.Header.GetID(flow.FieldContentType)):
		return h.refuse(x, 415, "An order is a form (application/x-www-form-urlencoded).")
	}
	form, status, why := readForm(x)
	if status != 0 {
		return h.refuse(x, status, why)
	}
	o, err := stats.ParseOrder(form)
	if err != nil {
		return h.refuse(x, 422, sentence(err))
	}
	user := string(x.Record.User)
	if !tokens.Good(o.Token, user, h.scope(x), time.Now()) {
		return h.refuse(x, 403, "This page is too old, or another one's. Nothing was changed; please try again.")
	}
	for i, server := range o.Servers {
		c := overlay.Change{Kind: overlay.Kind(o.Action), Pool: o.Pool, Server: server, Weight: o.Weight, By: user, Why: "statistics page"}
		if err := h.control.Do(context.Background(), c); err != nil {
			text := sentence(err)
			if i > 0 {
				text += fmt.Sprintf(" The %d before it were changed.", i)
			}
			return h.refuse(x, statusOf(err), text)
		}
	}
	// The answer is another page, so that asking for it again changes nothing.
	v := stats.ParseView(string(x.Req.Query)).Query()
	if v != "" {
		v += "&"
	}
	secure(x)
	x.Resp.Header.AddID(flow.FieldLocation, []byte(h.self+"?"+v+"did="+o.Action+"&n="+strconv.Itoa(len(o.Servers))))
	return x.Respond(303, "", nil)
}

// refuse answers with the page and the reason above it.
func (h *statsPage) refuse(x *flow.Exchange, status int, why string) error {
	x.Record.Terminate('P', 'R')
	return h.page(x, status, why)
}

func statusOf(err error) int {
	var r *overlay.Refusal
	if !errors.As(err, &r) {
		return 500
	}
	switch r.Reason {
	case overlay.NotFound:
		return 404
	case overlay.Conflict:
		return 409
	case overlay.Invalid:
	}
	return 422
}

// sentence makes one of an error.
func sentence(err error) string {
	s := err.Error()
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		s = string(s[0]-'a'+'A') + s[1:]
	}
	if n := len(s); n > 0 && s[n-1] != '.' && s[n-1] != '?' {
		s += "."
	}
	return s
}

// sameOrigin tells whether a request was made by a page of the host that it asks
// for. Browsers say so with every POST: by Sec-Fetch-Site (Fetch Metadata §2.3),
// Origin (RFC 6454 §7.3) or, at the least, Referer; one that says nothing is none
// that a form of ours was sent by. Behind somebody who terminates TLS the scheme
// differs, so it is the host and port that count.
func sameOrigin(x *flow.Exchange) bool {
	if site := x.Req.Header.Get("Sec-Fetch-Site"); site != nil && string(site) != "same-origin" {
		return false
	}
	from := x.Req.Header.Get("Origin")
	if from == nil {
		from = x.Req.Header.GetID(flow.FieldReferer)
	}
	for name := range x.Req.Header.Values("Origin") {
		if !bytes.Equal(name, from) { // two of them: somebody is lying
			return false
		}
	}
	_, rest, ok := bytes.Cut(from, []byte("://"))
	if !ok {
		return false
	}
	if i := bytes.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return len(rest) > 0 && flow.EqualFold(rest, x.Req.Authority)
}

func isForm(contentType []byte) bool {
	kind, _, _ := bytes.Cut(contentType, []byte(";"))
	return flow.EqualFold(bytes.TrimSpace(kind), "application/x-www-form-urlencoded")
}

// What is wrong with a form that cannot be read.
const (
	formLong = "The form is too long."
	formCut  = "The form did not come whole."
)

// readForm reads the body, or tells with which status and why not; slow ones end by
// the site's `timeout stall`.
func readForm(x *flow.Exchange) (form string, status int, why string) {
	if x.Req.ContentLength > maxForm {
		return "", 413, formLong
	}
	if x.Req.Expect {
		if x.Inform(100, nil) != nil {
			return "", 400, formCut
		}
		x.Req.Expect = false
	}
	body, err := io.ReadAll(io.LimitReader(x.Req.Body, maxForm+1))
	switch {
	case err != nil:
		return "", 400, formCut
	case len(body) > maxForm:
		return "", 413, formLong
	}
	return string(body), 0, ""
}
