package http1

import (
	"bytes"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Head is what a head says of its message's version, framing and connection.
// The fields themselves go to a flow.Header, as spans of the bytes parsed.
type Head struct {
	Minor         uint8
	ContentLength int64 // -1: none was given
	Chunked       bool
	Close         bool   // Connection: close
	KeepAlive     bool   // Connection: keep-alive
	Upgrade       []byte // the Upgrade field, if Connection names it and it may be passed on
	Expect        bool   // Expect: 100-continue

	hosts, codings int
	host           []byte
	upgrade        []byte
	connUpgrade    bool
	oddExpect      bool
	connNames      bool // Connection names fields to be removed
}

// hop are the fields that concern one connection only (RFC 9110 §7.6.1, and
// the historical ones): a codec takes them in and never passes them on.
const hop = 1<<flow.FieldConnection | 1<<flow.FieldKeepAlive | 1<<flow.FieldProxyConnection |
	1<<flow.FieldTE | 1<<flow.FieldTransferEncoding | 1<<flow.FieldUpgrade | 1<<flow.FieldHTTP2Settings

// guarded are the fields that a sender cannot have removed by naming them in
// Connection: framing, routing, credentials, and what the proxy itself adds.
const guarded = 1<<flow.FieldHost | 1<<flow.FieldContentLength | 1<<flow.FieldCookie |
	1<<flow.FieldSetCookie | 1<<flow.FieldAuthorization | 1<<flow.FieldExpect | forwarding

const forwarding = 1<<flow.FieldXForwardedFor | 1<<flow.FieldXForwardedProto | 1<<flow.FieldXForwardedHost |
	1<<flow.FieldXForwardedPort | 1<<flow.FieldXForwardedPrefix | 1<<flow.FieldForwarded | 1<<flow.FieldXRealIP

// in reports whether an ID is in one of the sets above.
func in(set uint64, id flow.ID) bool { return id < 64 && set>>id&1 != 0 }

// fields parses the header lines from buf[at:], which end with the empty line;
// h's base is buf. Hop-by-hop fields are noted in the Head and left out of h.
func (hd *Head) fields(buf []byte, at, limit int, h *flow.Header) error {
	hd.ContentLength = -1
	for lines := 0; at < len(buf)-2; lines++ {
		end := at + bytes.IndexByte(buf[at:], '\n') - 1 // HeadEnd saw CR LF
		i, alias := at, false
		for token[buf[i]] {
			alias = alias || buf[i] == '_'
			i++
		}
		if buf[i] != ':' || i == at || i-at > maxName {
			if buf[at] == ' ' || buf[at] == '\t' {
				return errFold
			}
			return errFieldName
		}
		from, to := i+1, end
		for from < to && (buf[from] == ' ' || buf[from] == '\t') {
			from++
		}
		for to > from && (buf[to-1] == ' ' || buf[to-1] == '\t') {
			to--
		}
		if !cleanValue(buf[from:to]) {
			return errFieldValue
		}
		if lines >= limit {
			return errFields
		}
		id := flow.LookupBytes(buf[at:i])
		if err := hd.note(id, buf[from:to]); err != nil {
			return err
		}
		if !in(hop, id) && !(alias && aliased(buf[at:i])) {
			h.AddSpan(id, at, i-at, from, to-from)
		}
		at = end + 2
	}
	if hd.connNames {
		return hd.removeNamed(buf, limit, h)
	}
	return nil
}

// maxName is what a flow.Header can hold of a name.
const maxName = 1<<16 - 1

// note takes in the fields that frame the message or manage the connection.
func (hd *Head) note(id flow.ID, v []byte) error {
	switch id {
	case flow.FieldHost:
		hd.hosts++
		hd.host = v
	case flow.FieldContentLength:
		if hd.ContentLength >= 0 {
			return errLengthTwice
		}
		n, ok := parseLength(v)
		if !ok {
			return errLength
		}
		hd.ContentLength = n
	case flow.FieldTransferEncoding:
		hd.codings++
		if hd.codings > 1 || !flow.EqualFold(v, "chunked") {
			return errCoding
		}
		hd.Chunked = true
	case flow.FieldConnection:
		hd.connection(v)
	case flow.FieldProxyConnection:
		// Never sent by those who know what they do; taken as nothing.
	case flow.FieldUpgrade:
		hd.upgrade = v
	case flow.FieldExpect:
		hd.Expect = true
		hd.oddExpect = hd.oddExpect || !flow.EqualFold(v, "100-continue")
	}
	return nil
}

// connection reads the tokens of one Connection field.
func (hd *Head) connection(v []byte) {
	for len(v) > 0 {
		var t []byte
		t, v = cutToken(v)
		switch {
		case flow.EqualFold(t, "close"):
			hd.Close = true
		case flow.EqualFold(t, "keep-alive"):
			hd.KeepAlive = true
		case flow.EqualFold(t, "upgrade"):
			hd.connUpgrade = true
		case len(t) > 0 && !in(hop, flow.LookupBytes(t)):
			hd.connNames = true
		}
	}
}

// removeNamed deletes the fields that Connection names. The Connection fields
// are no longer in h, so the head is read once more; this is rare. Each name
// costs a walk over the fields, so there may be no more of them than of fields.
func (hd *Head) removeNamed(buf []byte, limit int, h *flow.Header) error {
	names := 0
	for line := range bytes.SplitSeq(buf, []byte("\r\n")) {
		name, v, ok := bytes.Cut(line, []byte(":"))
		if !ok || flow.LookupBytes(name) != flow.FieldConnection {
			continue
		}
		for len(v) > 0 {
			var t []byte
			if t, v = cutToken(v); len(t) == 0 || in(guarded, flow.LookupBytes(t)) {
				continue
			}
			if names++; names > limit {
				return errFields
			}
			h.Del(string(t))
		}
	}
	return nil
}

// cutToken takes the first element of a comma-separated list.
func cutToken(v []byte) (t, rest []byte) {
	t = v
	if i := bytes.IndexByte(v, ','); i >= 0 {
		t, rest = v[:i], v[i+1:]
	}
	return bytes.Trim(t, " \t"), rest
}

// aliased reports whether a name with underscores is, to servers that take "_"
// for "-" (CGI does), one of the fields that frame or route the message.
func aliased(name []byte) bool {
	var b [24]byte
	if len(name) > len(b) {
		return false
	}
	for i, c := range name {
		if c == '_' {
			c = '-'
		}
		b[i] = c
	}
	id := flow.LookupBytes(b[:len(name)])
	return in(hop|guarded, id)
}

// parseLength reads digits only: no sign, blanks, list or empty value.
func parseLength(v []byte) (int64, bool) {
	if len(v) == 0 || len(v) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// settleUpgrade decides whether the upgrade asked for may be passed on: it must
// be named in Connection, and h2c is stripped (RFC 9113 §3.1 withdrew it, and
// it would smuggle requests past the routes).
func (hd *Head) settleUpgrade() {
	if !hd.connUpgrade || hd.Minor == 0 {
		return
	}
	for v := hd.upgrade; len(v) > 0; {
		var t []byte
		t, v = cutToken(v)
		if flow.EqualFold(t, "h2c") || flow.EqualFold(t, "h2") {
			return
		}
	}
	if len(hd.upgrade) > 0 {
		hd.Upgrade = hd.upgrade
	}
}
