package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

func tlv(kind byte, v string) string {
	return string(binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(v)))) + v
}

// v2 writes a header by hand.
func v2(command, family byte, block string) string {
	return signature + string([]byte{command, family}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(block)))) + block
}

const four = "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x50\x01\xbb" // 1.2.3.4:80 to 5.6.7.8:443

var six = strings.Repeat("\x20\x01\x0d\xb8", 4) + strings.Repeat("\xfd", 16) + "\x00\x01\x00\x02"

// withSum adds a checksum to a block and fills it in.
func withSum(command, family byte, block string) string {
	b := []byte(v2(command, family, block+tlv(typeCRC32C, "\x00\x00\x00\x00")))
	binary.BigEndian.PutUint32(b[len(b)-4:], checksum(b, len(b)-4))
	return string(b)
}

func TestParse(t *testing.T) {
	far := strings.Repeat("x", 300)
	for _, c := range []struct {
		name, in string
		source   string // "": none
		dest     string
		told     flow.Told
		bad      bool
	}{
		{name: "v1 four", in: "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", source: "192.0.2.1:56324", dest: "192.0.2.2:443"},
		{name: "v1 six", in: "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", source: "[2001:db8::1]:1", dest: "[::1]:65535"},
		{name: "v1 unknown", in: "PROXY UNKNOWN\r\n"},
		{name: "v1 unknown with addresses", in: "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"},
		{name: "v1 port", in: "PROXY TCP4 192.0.2.1 192.0.2.2 56324 65536\r\n", bad: true},
		{name: "v1 sign", in: "PROXY TCP4 192.0.2.1 192.0.2.2 +1 1\r\n", bad: true},
		{name: "v1 zeroes", in: "PROXY TCP4 192.0.2.1 192.0.2.2 01 1\r\n", bad: true},
		{name: "v1 zeroes in the address", in: "PROXY TCP4 192.0.02.1 192.0.2.2 1 1\r\n", bad: true},
		{name: "v1 wrong family", in: "PROXY TCP4 ::1 ::2 1 1\r\n", bad: true},
		{name: "v1 zone", in: "PROXY TCP6 fe80::1%eth0 ::2 1 1\r\n", bad: true},
		{name: "v1 two blanks", in: "PROXY TCP4  192.0.2.1 192.0.2.2 1 1\r\n", bad: true},
		{name: "v1 more", in: "PROXY TCP4 192.0.2.1 192.0.2.2 1 1 1\r\n", bad: true},
		{name: "v1 bare LF", in: "PROXY TCP4 192.0.2.1 192.0.2.2 1 1\n", bad: true},
		{name: "v1 other protocol", in: "PROXY UDP4 192.0.2.1 192.0.2.2 1 1\r\n", bad: true},
		{name: "v1 lower case", in: "proxy TCP4 192.0.2.1 192.0.2.2 1 1\r\n", bad: true},

		{name: "v2 four", in: v2(0x21, 0x11, four), source: "1.2.3.4:80", dest: "5.6.7.8:443"},
		{name: "v2 six", in: v2(0x21, 0x21, six), source: "[2001:db8:2001:db8:2001:db8:2001:db8]:1", dest: "[fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd]:2"},
		{name: "v2 local", in: v2(0x20, 0x00, "")},
		{name: "v2 local with what is to be discarded", in: v2(0x20, 0x11, four+"junk")},
		{name: "v2 unspec", in: v2(0x21, 0x00, tlv(typeAuthority, "A.example")), told: flow.Told{Authority: "a.example"}},
		{name: "v2 unix", in: v2(0x21, 0x31, strings.Repeat("\x00", 216))},
		{name: "v2 datagrams", in: v2(0x21, 0x12, four)},
		{name: "v2 short addresses", in: v2(0x21, 0x11, four[:11]), bad: true},
		{name: "v2 version 3", in: v2(0x31, 0x11, four), bad: true},
		{name: "v2 unknown command", in: v2(0x22, 0x11, four), bad: true},
		{name: "v2 unknown family", in: v2(0x21, 0x41, four), bad: true},
		{name: "v2 unknown transport", in: v2(0x21, 0x13, four), bad: true},

		{name: "facts", in: v2(0x21, 0x11, four+tlv(typeALPN, "h2")+tlv(typeAuthority, "a.b")+tlv(typeUniqueID, "id-1")+tlv(typeNetNS, "ns")+tlv(0xea, far)+tlv(4, "\x00\x00")),
			source: "1.2.3.4:80", dest: "5.6.7.8:443", told: flow.Told{ALPN: "h2", Authority: "a.b", UniqueID: "id-1", NetNS: "ns"}},
		{name: "binary id", in: v2(0x21, 0x11, four+tlv(typeUniqueID, "\x00\xff")), source: "1.2.3.4:80", dest: "5.6.7.8:443", told: flow.Told{UniqueID: "00ff"}},
		{name: "tls", in: v2(0x21, 0x11, four+tlv(typeTLS, "\x07\x00\x00\x00\x00"+tlv(typeVersion, "TLSv1.3")+tlv(typeCN, "Zo\xc3\xab")+tlv(typeCipher, "X"))),
			source: "1.2.3.4:80", dest: "5.6.7.8:443",
			told: flow.Told{TLS: &flow.ToldTLS{Version: "TLSv1.3", CN: `Zo\c3\ab`, Cipher: "X", Cert: true, Verified: true}}},
		{name: "tls without certificate", in: v2(0x21, 0x11, four+tlv(typeTLS, "\x01\x00\x00\x00\x00")), source: "1.2.3.4:80", dest: "5.6.7.8:443", told: flow.Told{TLS: &flow.ToldTLS{}}},
		{name: "checksum", in: withSum(0x21, 0x11, four), source: "1.2.3.4:80", dest: "5.6.7.8:443"},
		{name: "wrong checksum", in: v2(0x21, 0x11, four+tlv(typeCRC32C, "\x00\x00\x00\x01")), bad: true},
		{name: "short checksum", in: v2(0x21, 0x11, four+tlv(typeCRC32C, "\x00")), bad: true},
		{name: "half a TLV", in: v2(0x21, 0x11, four+"\x01\x00"), bad: true},
		{name: "TLV beyond the end", in: v2(0x21, 0x11, four+"\x01\x00\x02x"), bad: true},
		{name: "TLV in a TLV beyond its end", in: v2(0x21, 0x11, four+tlv(typeTLS, "\x01\x00\x00\x00\x00\x21\x00\x09x")), bad: true},
		{name: "short TLS", in: v2(0x21, 0x11, four+tlv(typeTLS, "\x01\x00")), bad: true},
		{name: "a line break in a text", in: v2(0x21, 0x11, four+tlv(typeAuthority, "a\r\nX: y")), bad: true},
		{name: "id too long", in: v2(0x21, 0x11, four+tlv(typeUniqueID, far)), bad: true},
		{name: "HTTP", in: "GET / HTTP/1.1\r\n\r\n", bad: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, err := Parse([]byte(c.in))
			if c.bad {
				if err == nil {
					t.Fatalf("taken: %+v", h)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := valid(h.Source); got != c.source {
				t.Errorf("source %s, want %s", got, c.source)
			}
			if got := valid(h.Destination); got != c.dest {
				t.Errorf("destination %s, want %s", got, c.dest)
			}
			if h.Told.Local != (c.source == "") {
				t.Errorf("local: %t", h.Told.Local)
			}
			got, want := h.Told, c.told
			if (got.TLS == nil) != (want.TLS == nil) || got.TLS != nil && *got.TLS != *want.TLS {
				t.Errorf("TLS %+v, want %+v", got.TLS, want.TLS)
			}
			got.TLS, want.TLS, want.Local, want.Version = nil, nil, got.Local, got.Version
			if got != want {
				t.Errorf("told %+v, want %+v", got, want)
			}
			for i := range len(c.in) - 1 { // what comes bit by bit is waited for
				if n, err := Length([]byte(c.in[:i])); err != nil || n != 0 && n != len(c.in) {
					t.Fatalf("of %d bytes: length %d, %v", i, n, err)
				}
			}
			if n, err := Length([]byte(c.in + "GET / HTTP/1.1\r\n")); n != len(c.in) || err != nil {
				t.Errorf("length %d, %v: it takes %d", n, err, len(c.in))
			}
		})
	}
}

func valid(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func TestLength(t *testing.T) {
	for in, want := range map[string]error{
		"": nil, "P": nil, "PROXY": nil, "\r\n\r\n": nil, signature: nil, "GET": ErrNone, "PRI * HTTP/2.0": ErrNone, "\x16\x03\x01": ErrNone,
		"PROXYTCP4": ErrNone, "PROXY TCP4 " + strings.Repeat("1", 96): ErrTooLong, signature + "\x21\x11\xff\xff": ErrTooLong,
	} {
		if n, err := Length([]byte(in)); !errors.Is(err, want) || n != 0 {
			t.Errorf("%q: %d, %v, want %v", in, n, err, want)
		}
	}
	// spec §2.1: the longest line.
	longest := "PROXY UNKNOWN " + strings.Repeat("ffff:", 7) + "ffff " + strings.Repeat("ffff:", 7) + "ffff 65535 65535\r\n"
	if len(longest) != maxLine {
		t.Fatal(len(longest))
	}
	if h, err := Parse([]byte(longest)); err != nil || !h.Told.Local {
		t.Errorf("%+v, %v", h, err)
	}
}

func conn(client, local string) *flow.Conn {
	return &flow.Conn{ID: 7, Client: netip.MustParseAddrPort(client), Local: netip.MustParseAddrPort(local)}
}

func TestAppend(t *testing.T) {
	for _, c := range []struct{ client, local, v1, source string }{
		{"192.0.2.1:1234", "192.0.2.9:80", "PROXY TCP4 192.0.2.1 192.0.2.9 1234 80\r\n", "192.0.2.1:1234"},
		{"[2001:db8::1]:1234", "[::1]:80", "PROXY TCP6 2001:db8::1 ::1 1234 80\r\n", "[2001:db8::1]:1234"},
		// An IPv4 client of an IPv6 address: one family has to do for both.
		{"192.0.2.1:1234", "[::1]:80", "PROXY TCP6 ::ffff:192.0.2.1 ::1 1234 80\r\n", "192.0.2.1:1234"},
	} {
		x := conn(c.client, c.local)
		if got := string(Form{Version: 1}.Append(nil, x)); got != c.v1 {
			t.Errorf("%q, want %q", got, c.v1)
		}
		for _, f := range []Form{{Version: 2}, {Version: 2, CRC32C: true}, {Version: 2, Authority: true, TLS: true, ALPN: true, UniqueID: true, CRC32C: true}} {
			h, err := Parse(f.Append(nil, x))
			if err != nil || h.Source.String() != c.source || h.Destination != x.Local {
				t.Errorf("%s: %+v, %v", f, h, err)
			}
		}
	}
	unix := &flow.Conn{ID: 7}
	if got := string(Form{Version: 1}.Append(nil, unix)); got != "PROXY UNKNOWN\r\n" {
		t.Errorf("%q", got)
	}
	for _, b := range [][]byte{Form{Version: 2}.Append(nil, unix), Form{Version: 2, CRC32C: true}.AppendLocal(nil), Form{Version: 1}.AppendLocal(nil)} {
		if h, err := Parse(b); err != nil || !h.Told.Local {
			t.Errorf("%q: %+v, %v", b, h, err)
		}
	}
}

func TestAppendFacts(t *testing.T) {
	all := Form{Version: 2, Authority: true, TLS: true, ALPN: true, UniqueID: true, CRC32C: true}
	x := conn("192.0.2.1:1234", "192.0.2.9:80")
	x.TLS = &flow.TLS{ServerName: "a.example", ALPN: "h2", Version: 0x304, Cipher: 0x1301,
		Client: &flow.ClientCert{Subject: `CN=ann\, b,O=Example`}}
	b := all.Append(nil, x)
	h, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	want := flow.ToldTLS{Version: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256", CN: "ann, b", Cert: true, Verified: true}
	if h.Told.TLS == nil || *h.Told.TLS != want {
		t.Errorf("%+v", h.Told.TLS)
	}
	if h.Told.Authority != "a.example" || h.Told.ALPN != "h2" || !strings.HasSuffix(h.Told.UniqueID, "-7") {
		t.Errorf("%+v", h.Told)
	}
	// The next one passes on what it was told.
	next := conn("192.0.2.1:1234", "192.0.2.9:80")
	next.Told = &h.Told
	again, err := Parse(all.Append(nil, next))
	if err != nil || *again.Told.TLS != want || again.Told.UniqueID != h.Told.UniqueID || again.Told.Authority != "a.example" || again.Told.ALPN != "h2" {
		t.Errorf("%+v, %v", again.Told, err)
	}
	for i := range b { // not one byte may change unnoticed
		if i == 12 || i == len(b)-7 {
			continue // the command: LOCAL's block is to be discarded unread; that there is a checksum
		}
		bent := bytes.Clone(b)
		bent[i] ^= 1
		if n, err := Length(bent); err == nil && n == len(bent) {
			if _, err := Parse(bent); err == nil {
				t.Errorf("byte %d is not covered", i)
			}
		}
	}
}

func FuzzV1(f *testing.F) {
	f.Add("TCP4 192.0.2.1 192.0.2.2 56324 443\r\n")
	f.Add("TCP6 2001:db8::1 ::1 1 65535\r\n")
	f.Add("UNKNOWN\r\nGET / HTTP/1.1\r\n")
	f.Fuzz(func(t *testing.T, rest string) { check(t, word+rest) })
}

func FuzzV2(f *testing.F) {
	f.Add([]byte(v2(0x21, 0x11, four+tlv(typeTLS, "\x01\x00\x00\x00\x00"+tlv(typeVersion, "TLSv1.3"))))[12:])
	f.Add([]byte(withSum(0x21, 0x21, six))[12:])
	f.Add([]byte(v2(0x20, 0, "") + "GET")[12:])
	f.Fuzz(func(t *testing.T, rest []byte) { check(t, signature+string(rest)) })
}

// check reads a stream's start, and what it has read, written again.
func check(t *testing.T, in string) {
	b := []byte(in)
	n, err := Length(b)
	if err != nil || n == 0 || n > len(b) {
		if n > MaxBytes {
			t.Fatalf("%d bytes are waited for", n)
		}
		return
	}
	h, err := Parse(b[:n])
	if err != nil {
		return
	}
	for _, s := range []string{h.Told.Authority, h.Told.ALPN, h.Told.UniqueID, h.Told.NetNS} {
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q is not printable", s)
		}
	}
	if h.Told.Local {
		if h.Source.IsValid() {
			t.Fatalf("%+v", h)
		}
		return
	}
	c := &flow.Conn{Client: h.Source, Local: h.Destination, Told: &h.Told}
	for _, f := range []Form{{Version: 1}, {Version: 2}, {Version: 2, CRC32C: true, Authority: true, ALPN: true, TLS: true}} {
		again, err := Parse(f.Append(nil, c))
		if err != nil || again.Source != h.Source || again.Destination != h.Destination {
			t.Fatalf("%s: %+v became %+v, %v", f, h, again, err)
		}
		if f.Authority && (again.Told.Authority != h.Told.Authority || again.Told.ALPN != h.Told.ALPN) {
			t.Fatalf("%+v became %+v", h.Told, again.Told)
		}
	}
}
