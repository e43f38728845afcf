package http2

import (
	"bytes"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http1"
)

// request makes the exchange's request of a whole head, or a fault. c.mu is held.
func (s *stream) request(b *block) {
	h, x := &s.head, &s.x
	x.Begin(&s.fc, s)
	r := &x.Record
	r.Start, r.Client, r.Local, r.ConnID, r.TLS = time.Now(), s.fc.Client, s.fc.Local, s.fc.ID, s.fc.TLS != nil
	r.Timings.Accept, r.Timings.FirstByte = flow.At(s.fc.Accepted), flow.At(r.Start)
	r.Timings.Head = r.Timings.FirstByte
	r.Version = "HTTP/2.0"
	s.remoteEnded = b.end
	if h.err == nil {
		s.fill()
	}
	s.fault = h.err
	if s.fault == nil && s.length > 0 && b.end {
		s.fault = badHead("body differs from its content-length")
	}
}

// fill checks a head as a whole and fills the request in.
func (s *stream) fill() {
	h, r := &s.head, &s.x.Req
	s.x.Req.Major, r.Minor, r.Scheme = 2, 0, "http"
	if s.fc.TLS != nil {
		r.Scheme = "https"
	}
	method := h.bytes(h.pseudo[pseudoMethod])
	if !wire.IsToken(method) || len(method) > 32 {
		h.bad("malformed method")
		return
	}
	r.Method = wire.Method(method)
	connect := r.Method == "CONNECT"
	s.extended = connect && h.has(pseudoProtocol)
	switch want := uint8(1<<pseudoMethod | 1<<pseudoScheme | 1<<pseudoPath); {
	case connect && !s.extended:
		if h.seen != 1<<pseudoMethod|1<<pseudoAuthority {
			h.bad("malformed CONNECT")
			return
		}
	case h.seen&want != want || h.has(pseudoProtocol) && !connect:
		h.bad("pseudo-header field is missing or misplaced")
		return
	}
	if !s.authority(connect && !s.extended) {
		return
	}
	h.joinCookies()
	s.host(r)
	if connect && !s.extended {
		r.Target, r.Original = r.Authority, r.Authority
	} else if !s.path(r) {
		return
	}
	s.body(r, connect)
}

// authority settles whom the request is for: :authority, or else host, which may
// not disagree (RFC 9113 §8.3.1).
func (s *stream) authority(port bool) bool {
	h := &s.head
	a := h.bytes(h.pseudo[pseudoAuthority])
	if !h.has(pseudoAuthority) {
		a = h.bytes(h.host)
	}
	switch {
	case h.hosts > 1, h.hosts == 1 && !flow.EqualFold(a, h.bytes(h.host)):
		h.bad("host differs from :authority")
	case !wire.ValidHost(a), port && bytes.LastIndexByte(a, ':') < 0:
		h.bad("malformed :authority")
	}
	return h.err == nil
}

// host adds the Host field that HTTP/1 servers are sent; the arena then stays
// where it is.
func (s *stream) host(r *flow.Request) {
	h := &s.head
	v := h.pseudo[pseudoAuthority]
	if !h.has(pseudoAuthority) {
		v = h.host
	}
	at := len(h.arena)
	h.arena = append(h.arena, "host"...)
	h.fields.AddSpan(flow.FieldHost, at, 4, v.at, v.n)
	r.Original = nil
	r.Header, h.fields = h.fields, r.Header
	r.Header.Rebase(h.arena)
	r.Authority = h.bytes(v)
	r.Host = r.HostOf(r.Authority)
}

func (s *stream) path(r *flow.Request) bool {
	h := &s.head
	scheme := h.bytes(h.pseudo[pseudoScheme])
	if string(scheme) != "http" && string(scheme) != "https" {
		h.bad("unknown :scheme")
		return false
	}
	target := h.bytes(h.pseudo[pseudoPath])
	r.Original = target
	star := len(target) == 1 && target[0] == '*' && r.Method == "OPTIONS"
	if len(target) == 0 || target[0] != '/' && !star || bytes.IndexByte(target, ' ') >= 0 || r.SetTarget(target) != nil {
		h.bad("malformed :path")
		return false
	}
	return true
}

// body settles length, expectation and upgrade.
func (s *stream) body(r *flow.Request, connect bool) {
	h := &s.head
	s.length = h.length
	if h.expect.n > 0 {
		if !flow.EqualFold(h.bytes(h.expect), "100-continue") {
			h.err = &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 417, Cause: "unknown expectation"}
			return
		}
		if r.Expect = !s.remoteEnded; !r.Expect {
			r.Header.DelID(flow.FieldExpect)
		}
	}
	if connect {
		if h.length >= 0 {
			h.bad("CONNECT with a length")
			return
		}
		r.Expect = false
		r.Header.DelID(flow.FieldExpect)
		if s.extended {
			s.upgrade(r)
		}
		return
	}
	switch {
	case s.remoteEnded:
		r.ContentLength = 0
	case h.length >= 0:
		r.ContentLength = h.length
	default:
		r.ContentLength = -1
	}
}

// joinCookies makes one field of cookies that came in several (RFC 9113 §8.2.3).
func (h *head) joinCookies() {
	if h.cookies < 2 {
		return
	}
	h.fields.Rebase(h.arena)
	at := len(h.arena)
	h.arena = append(h.arena, "cookie"...)
	from := len(h.arena)
	for i := range h.fields.Len() {
		if h.fields.IDAt(i) != flow.FieldCookie {
			continue
		}
		if _, _, v, ok := h.fields.At(i); ok {
			if len(h.arena) > from {
				h.arena = append(h.arena, "; "...)
			}
			h.arena = append(h.arena, v...)
			h.fields.DelAt(i)
		}
	}
	h.fields.AddSpan(flow.FieldCookie, at, 6, from, len(h.arena)-from)
	h.fields.Rebase(h.arena)
}
