// Package hello reads what a TLS ClientHello asks for (server name, protocols,
// versions) from the first bytes of a stream, without taking part in the
// handshake. It decides where a stream goes; it does not judge whether the
// hello is good in every other respect, which the server behind will do.
//
// Sources: RFC 8446 §4.1.2 (ClientHello) and §5.1 (records), RFC 6066 §3
// (server_name), RFC 7301 §3.1 (ALPN), RFC 8701 (GREASE).
package hello

// Hello is what a ClientHello asks for.
type Hello struct {
	ServerName string   // lower case, without a trailing dot; "" if absent
	ALPN       []string // in the client's order, GREASE left out
	Versions   []uint16 // supported_versions, GREASE left out; else the legacy version alone
}

// Verdict tells what the bytes are.
type Verdict uint8

// The verdicts.
const (
	NotTLS   Verdict = iota // no ClientHello begins like this, or it is malformed or too long
	NeedMore                // so far so good
	OK
)

// MaxBytes bounds a hello, record headers included. Real ones take 0.2 to 4 KiB,
// the large ones for post-quantum key shares and session tickets.
const MaxBytes = 32 << 10

const (
	recordHandshake  = 22
	typeClientHello  = 1
	recordHeader     = 5
	handshakeHeader  = 4
	maxRecord        = 1 << 14 // RFC 8446 §5.1
	extServerName    = 0
	extALPN          = 16
	extVersions      = 43
	nameTypeHostName = 0
	maxHostName      = 253 // RFC 1035 §2.3.4, as text
)

// Parse reads the start of a stream. With NeedMore, need is a length that the
// stream must have at least before another call can tell more, so that a caller
// need not parse again for each byte.
func Parse(b []byte) (h Hello, v Verdict, need int) {
	msg, v, need := message(b)
	if v != OK {
		return Hello{}, v, need
	}
	h, ok := clientHello(msg)
	if !ok {
		return Hello{}, NotTLS, 0
	}
	return h, OK, 0
}

// message gathers the handshake message from the records that carry it. A
// message in one record, as nearly all are, is not copied.
func message(b []byte) (msg []byte, v Verdict, need int) {
	var joined []byte
	for off := 0; ; {
		v, size := record(b[off:])
		if v != OK {
			return nil, v, off + size
		}
		have := b[off+recordHeader:]
		whole := len(have) >= size
		if whole {
			have = have[:size]
		}
		if off == 0 {
			joined = have[:len(have):len(have)]
		} else {
			joined = append(joined, have...)
		}
		if len(joined) > 0 && joined[0] != typeClientHello {
			return nil, NotTLS, 0
		}
		length := -1
		if len(joined) >= handshakeHeader {
			length = handshakeHeader + int(joined[1])<<16 + int(joined[2])<<8 + int(joined[3])
		}
		if length > MaxBytes {
			return nil, NotTLS, 0
		}
		if length >= 0 && len(joined) >= length {
			return joined[handshakeHeader:length], OK, 0
		}
		next := off + recordHeader + size
		if next >= MaxBytes {
			return nil, NotTLS, 0
		}
		if !whole {
			return nil, NeedMore, next
		}
		off = next
	}
}

// record looks at a record header. Of an incomplete one it checks what is there;
// size is then the length it needs, and otherwise that of its fragment.
func record(b []byte) (v Verdict, size int) {
	if len(b) > 0 && b[0] != recordHandshake || len(b) > 1 && b[1] != 3 {
		return NotTLS, 0
	}
	if len(b) < recordHeader {
		return NeedMore, recordHeader
	}
	size = int(b[3])<<8 | int(b[4])
	// Handshake fragments are never empty (RFC 8446 §5.1).
	if size == 0 || size > maxRecord {
		return NotTLS, 0
	}
	return OK, size
}

// clientHello reads the body of the message.
func clientHello(msg []byte) (h Hello, ok bool) {
	r := reader{b: msg, ok: true}
	legacy := r.uint16()
	r.take(32)                   // random
	r.take(int(r.uint8()))       // legacy_session_id
	ciphers := r.sub(r.uint16()) // cipher_suites
	r.take(int(r.uint8()))       // legacy_compression_methods
	if !r.ok || legacy>>8 != 3 || len(ciphers.b) < 2 {
		return Hello{}, false
	}
	h.Versions = []uint16{legacy}
	if len(r.b) == 0 { // before TLS 1.3 the extensions may be missing altogether
		return h, true
	}
	exts := r.sub(r.uint16())
	if !r.ok || len(r.b) != 0 {
		return Hello{}, false
	}
	var seen [3]bool
	for len(exts.b) > 0 {
		kind := exts.uint16()
		data := exts.sub(exts.uint16())
		if !exts.ok || !h.extension(kind, &data, &seen) {
			return Hello{}, false
		}
	}
	return h, true
}

// extension reads one extension; false for one that is malformed or stands twice
// (RFC 8446 §4.2), on which two readers could disagree.
func (h *Hello) extension(kind uint16, data *reader, seen *[3]bool) bool {
	var i int
	switch kind {
	case extServerName:
		i = 0
	case extALPN:
		i = 1
	case extVersions:
		i = 2
	default:
		return true
	}
	if seen[i] {
		return false
	}
	seen[i] = true
	switch kind {
	case extServerName:
		return h.serverName(data)
	case extALPN:
		return h.protocols(data)
	default:
		return h.versions(data)
	}
}

func (h *Hello) serverName(r *reader) bool {
	list := r.sub(r.uint16())
	if !r.ok || len(r.b) != 0 {
		return false
	}
	for len(list.b) > 0 {
		kind := list.uint8()
		name := list.sub(list.uint16())
		if !list.ok {
			return false
		}
		if kind != nameTypeHostName {
			continue
		}
		host, ok := hostName(name.b)
		if !ok || h.ServerName != "" { // not more than one of a type (RFC 6066 §3)
			return false
		}
		h.ServerName = host
	}
	return true
}

// hostName lower-cases a host name and refuses what no name contains, which
// could otherwise reach log lines and tables.
func hostName(b []byte) (string, bool) {
	if n := len(b); n > 0 && b[n-1] == '.' {
		b = b[:n-1]
	}
	if len(b) == 0 || len(b) > maxHostName {
		return "", false
	}
	low := make([]byte, len(b))
	for i, c := range b {
		if c <= ' ' || c >= 0x7f || c == '/' || c == '\\' {
			return "", false
		}
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		low[i] = c
	}
	return string(low), true
}

func (h *Hello) protocols(r *reader) bool {
	list := r.sub(r.uint16())
	if !r.ok || len(r.b) != 0 || len(list.b) == 0 {
		return false
	}
	for len(list.b) > 0 {
		p := list.sub(uint16(list.uint8()))
		if !list.ok || len(p.b) == 0 {
			return false
		}
		if len(p.b) == 2 && grease(uint16(p.b[0])<<8|uint16(p.b[1])) {
			continue
		}
		h.ALPN = append(h.ALPN, string(p.b))
	}
	return true
}

func (h *Hello) versions(r *reader) bool {
	list := r.sub(uint16(r.uint8()))
	if !r.ok || len(r.b) != 0 || len(list.b) == 0 {
		return false
	}
	h.Versions = h.Versions[:0]
	for len(list.b) > 0 {
		v := list.uint16()
		if !list.ok {
			return false
		}
		if !grease(v) {
			h.Versions = append(h.Versions, v)
		}
	}
	return true
}

// grease tells the values that clients send to keep servers tolerant (RFC 8701
// §2): 0x0a0a, 0x1a1a … 0xfafa.
func grease(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

// reader takes fields from the front of b; ok turns false, and stays so, when
// one was not there in full.
type reader struct {
	b  []byte
	ok bool
}

func (r *reader) take(n int) []byte {
	if !r.ok || n > len(r.b) {
		r.b, r.ok = nil, false
		return nil
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) uint8() uint8 {
	if p := r.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if p := r.take(2); p != nil {
		return uint16(p[0])<<8 | uint16(p[1])
	}
	return 0
}

// sub takes n bytes as a reader of their own.
func (r *reader) sub(n uint16) reader {
	p := r.take(int(n))
	return reader{b: p, ok: r.ok}
}
