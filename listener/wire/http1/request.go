package http1

import (
	"bytes"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// ParseRequest parses a whole head (see HeadEnd), without leading empty lines,
// into r and hd. Everything in r borrows from buf; fieldLimit bounds the number
// of fields. r must have been reset.
func ParseRequest(buf []byte, fieldLimit int, r *flow.Request, hd *Head) error {
	*hd = Head{}
	r.Header.Reset(buf)
	line := buf[:bytes.IndexByte(buf, '\n')-1]
	sp := bytes.IndexByte(line, ' ')
	last := bytes.LastIndexByte(line, ' ')
	if sp <= 0 || last <= sp+1 {
		return errRequestLine
	}
	method, target, version := line[:sp], line[sp+1:last], line[last+1:]
	if !isToken(method) || len(method) > 32 {
		return errMethod
	}
	if err := parseVersion(version, &hd.Minor); err != nil {
		return err
	}
	r.Method, r.Major, r.Minor, r.Scheme = internMethod(method), 1, hd.Minor, "http"
	r.Original = target
	if err := hd.fields(buf, len(line)+2, fieldLimit, &r.Header); err != nil {
		return err
	}
	if err := hd.target(r, target); err != nil {
		return err
	}
	return hd.frameRequest(r)
}

// parseVersion takes HTTP/1.0 and HTTP/1.1; other well-formed versions are 505.
func parseVersion(v []byte, minor *uint8) error {
	if len(v) != 8 || string(v[:5]) != "HTTP/" || v[6] != '.' || v[5] < '0' || v[5] > '9' || v[7] < '0' || v[7] > '9' {
		return errVersion
	}
	if v[5] != '1' || v[7] > '1' {
		return errVersionUnknown
	}
	*minor = v[7] - '0'
	return nil
}

// target settles target, authority and host (RFC 9112 §3.2): origin form,
// absolute form (which must agree with Host), authority form for CONNECT.
func (hd *Head) target(r *flow.Request, target []byte) error {
	switch {
	case hd.hosts > 1:
		return errHostTwice
	case hd.hosts == 0 && hd.Minor > 0:
		return errHostMissing
	}
	r.Authority = hd.host
	switch {
	case r.Method == "CONNECT":
		if !validHost(target) || bytes.IndexByte(target, ':') < 0 {
			return errTarget
		}
		if hd.hosts == 1 && !flow.EqualFold(target, hd.host) {
			return errHostDiffers
		}
		r.Target, r.Path, r.Authority = target, nil, target
	case target[0] == '/' || len(target) == 1 && target[0] == '*' && r.Method == "OPTIONS":
		if err := r.SetTarget(target); err != nil {
			return errTarget
		}
	default:
		if err := hd.absolute(r, target); err != nil {
			return err
		}
	}
	if hd.hosts == 0 && len(r.Authority) == 0 {
		return nil // HTTP/1.0 without a host
	}
	if !validHost(r.Authority) {
		return errHostInvalid
	}
	r.Host = r.HostOf(r.Authority)
	return nil
}

func (hd *Head) absolute(r *flow.Request, target []byte) error {
	i := bytes.Index(target, []byte("://"))
	if i < 0 || !flow.EqualFold(target[:i], "http") && !flow.EqualFold(target[:i], "https") {
		return errTarget
	}
	rest := target[i+3:]
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	if hd.hosts == 1 && !flow.EqualFold(rest[:end], hd.host) {
		return errHostDiffers
	}
	r.Authority = rest[:end]
	path := rest[end:]
	if len(path) == 0 {
		path = slash
	}
	if path[0] == '?' {
		return errTarget
	}
	if r.SetTarget(path) != nil {
		return errTarget
	}
	return nil
}

var slash = []byte("/")

// validHost takes host[:port] of reg-names, IPv4 and bracketed IPv6 addresses
// (RFC 3986 §3.2.2), without the sub-delimiters that no host name has.
func validHost(h []byte) bool {
	if len(h) == 0 || len(h) > 255+6 {
		return false
	}
	name, port := h, []byte(nil)
	if h[0] == '[' {
		i := bytes.IndexByte(h, ']')
		if i < 3 {
			return false
		}
		for _, c := range h[1:i] {
			if !hostByte[c] && c != ':' {
				return false
			}
		}
		name, port = nil, h[i+1:]
		if len(port) > 0 && port[0] != ':' {
			return false
		}
		port = bytes.TrimPrefix(port, []byte(":"))
	} else if i := bytes.IndexByte(h, ':'); i >= 0 {
		name, port = h[:i], h[i+1:]
		if i == 0 {
			return false
		}
	}
	for _, c := range name {
		if !hostByte[c] {
			return false
		}
	}
	n := 0
	for _, c := range port {
		if c < '0' || c > '9' {
			return false
		}
		if n = n*10 + int(c-'0'); n > 65535 {
			return false
		}
	}
	return true
}

var hostByte = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-0x20] = true, true
	}
	t['-'], t['.'], t['_'], t['~'] = true, true, true, true
	return t
}()

// frameRequest decides on the body (RFC 9112 §6.3).
func (hd *Head) frameRequest(r *flow.Request) error {
	switch {
	case hd.oddExpect && hd.Minor > 0:
		return errExpect
	case hd.Chunked && hd.ContentLength >= 0:
		return errLengthAndTE
	case hd.Chunked && hd.Minor == 0:
		return errCoding10
	case hd.Chunked:
		r.ContentLength = -1
	default:
		r.ContentLength = max(hd.ContentLength, 0)
	}
	if hd.Minor == 0 && hd.Expect {
		hd.Expect = false // RFC 9110 §10.1.1: 1.0 clients cannot expect
		r.Header.DelID(flow.FieldExpect)
	}
	if hd.Expect && r.ContentLength == 0 {
		hd.Expect = false // nothing to wait for
		r.Header.DelID(flow.FieldExpect)
	}
	r.Expect = hd.Expect
	if r.ContentLength != 0 {
		// A server may ignore an upgrade (RFC 9110 §7.8), and one whose
		// request has a body would leave the tunnel's start in doubt. To
		// CONNECT a body means nothing (RFC 9110 §9.3.6): what follows could
		// be read as it or as the tunnel.
		if r.Method == "CONNECT" {
			return errConnectBody
		}
		return nil
	}
	hd.settleUpgrade()
	r.Upgrade = hd.Upgrade
	return nil
}

// internMethod gives the method as a string without allocating for the usual.
func internMethod(m []byte) string {
	switch string(m) {
	case "GET":
		return "GET"
	case "POST":
		return "POST"
	case "HEAD":
		return "HEAD"
	case "PUT":
		return "PUT"
	case "DELETE":
		return "DELETE"
	case "OPTIONS":
		return "OPTIONS"
	case "PATCH":
		return "PATCH"
	case "CONNECT":
		return "CONNECT"
	case "TRACE":
		return "TRACE"
	default:
		return string(m)
	}
}

// KeepsAlive reports whether the connection goes on after this message
// (RFC 9112 §9.3).
func (hd *Head) KeepsAlive() bool {
	return !hd.Close && (hd.Minor > 0 || hd.KeepAlive)
}
