package handler

import (
	"bytes"
	"net/netip"
	"unsafe"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/matcher"
)

// Forwarded is what servers are told of the client: X-Forwarded-For, -Proto and
// -Host. The zero value is the safe default: nobody is trusted, so what a
// client says of itself is removed and the three are set. It is not changed
// once the site serves.
type Forwarded struct {
	Mode    ForwardMode
	Trusted *matcher.Nets // peers whose word counts; nil: none
	Except  *matcher.Nets // peers that no X-Forwarded-For is added for
	IfNone  bool          // add X-Forwarded-For only where there is none
	Header  string        // another name for X-Forwarded-For, "" for that one
	id      flow.ID       // of Header, when it is set
}

// ForwardMode says what Apply does.
type ForwardMode uint8

// The modes.
const (
	ForwardOn     ForwardMode = iota // remove what untrusted peers say, then add
	ForwardAppend                    // keep what came, from whomever, and add
	ForwardOff                       // touch nothing
)

// family is the set of fields that speak of the client (RFC 7239 and its
// forerunners), as bits by ID.
const family uint64 = 1<<flow.FieldXForwardedFor | 1<<flow.FieldXForwardedProto | 1<<flow.FieldXForwardedHost |
	1<<flow.FieldXForwardedPort | 1<<flow.FieldXForwardedPrefix | 1<<flow.FieldForwarded | 1<<flow.FieldXRealIP

// Identify finds out who the client is behind trusted proxies, and notes it in
// x.Client and the record. A site calls it before its routes. X-Forwarded-For
// is read from its end, where the nearest proxy wrote: the first address that
// is no trusted proxy's is the client's; what stands before it could be forged.
func (f *Forwarded) Identify(x *flow.Exchange) {
	if f.Trusted == nil || !f.Trusted.Contains(x.Client) {
		return
	}
	client, h := x.Client, &x.Req.Header
	for i := h.Len() - 1; i >= 0; i-- {
		id, name, value, ok := h.At(i)
		if !ok || !f.isFor(id, name) {
			continue
		}
		if !f.walk(value, &client) {
			break
		}
	}
	if client != x.Client {
		x.Client = client
		x.Record.Client = netip.AddrPortFrom(client, 0) // its port is not known
	}
}

// walk reads one line from its end; true: all of it were trusted proxies.
func (f *Forwarded) walk(value []byte, client *netip.Addr) bool {
	for more := true; more; {
		last := value
		i := bytes.LastIndexByte(value, ',')
		if more = i >= 0; more {
			value, last = value[:i], value[i+1:]
		}
		a, ok := parseAddr(bytes.TrimSpace(last))
		if !ok {
			return false
		}
		if *client = a; !f.Trusted.Contains(a) {
			return false
		}
	}
	return true
}

// parseAddr reads an address with or without port.
func parseAddr(b []byte) (netip.Addr, bool) {
	if len(b) > 0 && b[0] == '[' {
		i := bytes.IndexByte(b, ']')
		if i < 0 {
			return netip.Addr{}, false
		}
		b = b[1:i]
	} else if i := bytes.IndexByte(b, ':'); i >= 0 && bytes.LastIndexByte(b, ':') == i {
		b = b[:i]
	}
	if len(b) == 0 || len(b) > 45 || bytes.IndexByte(b, '%') >= 0 {
		return netip.Addr{}, false
	}
	// ParseAddr only reads the string, and an Addr without zone keeps no part of it.
	a, err := netip.ParseAddr(unsafe.String(&b[0], len(b)))
	return a.Unmap(), err == nil
}

// Apply changes the request's header as servers are to get it; `proxy` calls it
// once an exchange, before the first try. Underscore spellings
// (x_forwarded_for), which some servers take for the real ones, always go.
func (f *Forwarded) Apply(x *flow.Exchange) {
	if f.Mode == ForwardOff {
		return
	}
	peer := x.Conn.Client.Addr().Unmap().WithZone("")
	keep := f.Mode == ForwardAppend || f.Trusted != nil && f.Trusted.Contains(peer)
	h := &x.Req.Header
	last, seen := f.sift(h, keep)
	if (last < 0 || !f.IfNone) && (f.Except == nil || !f.Except.Contains(peer)) {
		f.addFor(h, last, peer)
	}
	if seen>>flow.FieldXForwardedProto&1 == 0 {
		scheme := http
		if x.Req.Scheme == "https" {
			scheme = https
		}
		h.AddID(flow.FieldXForwardedProto, scheme)
	}
	if seen>>flow.FieldXForwardedHost&1 == 0 && len(x.Req.Authority) > 0 {
		h.AddID(flow.FieldXForwardedHost, x.Req.Authority)
	}
}

// sift removes what must not pass. Of what is kept it gives the last list of
// clients, -1 if there is none, and the others of the family as bits by ID.
func (f *Forwarded) sift(h *flow.Header, keep bool) (last int, seen uint64) {
	last = -1
	for i := range h.Len() {
		id := h.IDAt(i)
		switch {
		case id == flow.Unknown:
			name := h.NameAt(i)
			if f.Header != "" && f.isFor(id, name) {
				break
			}
			if bytes.IndexByte(name, '_') >= 0 && aliases(name) {
				h.DelAt(i)
			}
			continue
		case family>>id&1 == 0 && (id != f.id || f.Header == ""):
			continue
		}
		switch {
		case !keep:
			h.DelAt(i)
		case f.isFor(id, nil), id == flow.Unknown:
			last = i
		default:
			seen |= 1 << id
		}
	}
	return last, seen
}

var http, https = []byte("http"), []byte("https")

// addFor names the peer at the end of the list, in one line: not every server
// looks at a second one.
func (f *Forwarded) addFor(h *flow.Header, last int, peer netip.Addr) {
	var buf [64]byte
	b := append(buf[:0], ", "...)
	if b = peer.AppendTo(b); !peer.IsValid() { // a unix socket's peer has no address
		return
	}
	switch {
	case last >= 0:
		if _, _, v, _ := h.At(last); len(v) == 0 {
			b = b[2:]
		}
		h.Extend(last, b)
	case f.Header == "":
		h.AddID(flow.FieldXForwardedFor, b[2:])
	default:
		h.SetBytes(f.Header, b[2:])
	}
}

// isFor tells the field that lists clients: X-Forwarded-For, or what Header says.
func (f *Forwarded) isFor(id flow.ID, name []byte) bool {
	if f.Header == "" {
		return id == flow.FieldXForwardedFor
	}
	return id == f.id && (id != flow.Unknown || flow.EqualFold(name, f.Header))
}

// aliases tells a name that becomes one of the family when "_" is read as "-".
func aliases(name []byte) bool {
	var buf [24]byte
	if len(name) > len(buf) {
		return false
	}
	for i, c := range name {
		if c == '_' {
			c = '-'
		}
		buf[i] = c
	}
	return family>>flow.LookupBytes(buf[:len(name)])&1 == 1
}
