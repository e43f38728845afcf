package multi

import (
	"bytes"

	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http1"
)

// Request checks a head as a whole and fills x.Req in, but for its version and
// its body; what is wrong is in Err. ended tells that the client sends nothing
// more.
func (h *Head) Request(x *flow.Exchange, ended bool) {
	if h.Err != nil {
		return
	}
	r := &x.Req
	if r.Scheme = "http"; x.Conn.TLS != nil {
		r.Scheme = "https"
	}
	method := h.bytes(h.pseudo[pseudoMethod])
	if !wire.IsToken(method) || len(method) > 32 {
		h.bad("malformed method")
		return
	}
	r.Method = wire.Method(method)
	connect := r.Method == "CONNECT"
	h.Extended = connect && h.has(pseudoProtocol)
	switch want := uint8(1<<pseudoMethod | 1<<pseudoScheme | 1<<pseudoPath); {
	case connect && !h.Extended:
		if h.seen != 1<<pseudoMethod|1<<pseudoAuthority {
			h.bad("malformed CONNECT")
			return
		}
	case h.seen&want != want || h.has(pseudoProtocol) && !connect:
		h.bad("pseudo-header field is missing or misplaced")
		return
	}
	if !h.authority(connect && !h.Extended) {
		return
	}
	h.joinCookies()
	h.addHost(r)
	if connect && !h.Extended {
		r.Target, r.Original = r.Authority, r.Authority
	} else if !h.path(r) {
		return
	}
	if h.body(r, ended); h.Err == nil && h.Length > 0 && ended {
		h.bad("body differs from its content-length")
	}
}

// authority settles whom the request is for: :authority, or else host, which may
// not disagree (RFC 9113 §8.3.1, RFC 9114 §4.3.1).
func (h *Head) authority(port bool) bool {
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
	return h.Err == nil
}

// addHost adds the Host field that HTTP/1 servers are sent; the arena then stays
// where it is.
func (h *Head) addHost(r *flow.Request) {
	v := h.pseudo[pseudoAuthority]
	if !h.has(pseudoAuthority) {
		v = h.host
	}
	at := len(h.Arena)
	h.Arena = append(h.Arena, "host"...)
	h.fields.AddSpan(flow.FieldHost, at, 4, v.at, v.n)
	r.Original = nil
	r.Header, h.fields = h.fields, r.Header
	r.Header.Rebase(h.Arena)
	r.Authority = h.bytes(v)
	r.Host = r.HostOf(r.Authority)
}

func (h *Head) path(r *flow.Request) bool {
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
func (h *Head) body(r *flow.Request, ended bool) {
	if h.expect.n > 0 {
		if !flow.EqualFold(h.bytes(h.expect), "100-continue") {
			h.Err = &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 417, Cause: "unknown expectation"}
			return
		}
		if r.Expect = !ended; !r.Expect {
			r.Header.DelID(flow.FieldExpect)
		}
	}
	if r.Method == "CONNECT" {
		if h.Length >= 0 {
			h.bad("CONNECT with a length")
			return
		}
		r.Expect = false
		r.Header.DelID(flow.FieldExpect)
		if h.Extended {
			h.upgrade(r, ended)
		}
		return
	}
	switch {
	case ended:
		r.ContentLength = 0
	case h.Length >= 0:
		r.ContentLength = h.Length
	default:
		r.ContentLength = -1
	}
}

// joinCookies makes one field of cookies that came in several (RFC 9113 §8.2.3,
// RFC 9114 §4.2.1).
func (h *Head) joinCookies() {
	if h.cookies < 2 {
		return
	}
	h.fields.Rebase(h.Arena)
	at := len(h.Arena)
	h.Arena = append(h.Arena, "cookie"...)
	from := len(h.Arena)
	for i := range h.fields.Len() {
		if h.fields.IDAt(i) != flow.FieldCookie {
			continue
		}
		if _, _, v, ok := h.fields.At(i); ok {
			if len(h.Arena) > from {
				h.Arena = append(h.Arena, "; "...)
			}
			h.Arena = append(h.Arena, v...)
			h.fields.DelAt(i)
		}
	}
	h.fields.AddSpan(flow.FieldCookie, at, 6, from, len(h.Arena)-from)
	h.fields.Rebase(h.Arena)
}

// Bodiless reports, before Request, whether the head is one of a request that has
// no body unless it says so.
func (h *Head) Bodiless() bool {
	if h.Length >= 0 || !h.has(pseudoMethod) {
		return false
	}
	switch string(h.bytes(h.pseudo[pseudoMethod])) {
	case "GET", "HEAD", "DELETE", "OPTIONS", "TRACE":
		return true
	}
	return false
}
