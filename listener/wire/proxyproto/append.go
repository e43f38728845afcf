package proxyproto

import (
	"crypto/tls"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"

	pires "github.com/pires/go-proxyproto"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Form is how a header is written.
type Form struct {
	Version   uint8 // 1 or 2
	Authority bool  // what follows is of version 2 only: the name that the client asked for
	TLS       bool  // how the client spoke TLS
	ALPN      bool
	UniqueID  bool
	CRC32C    bool
}

// String names the form, as a configuration writes it.
func (f Form) String() string {
	out := "v1"
	if f.Version == 2 {
		out = "v2"
	}
	for _, o := range []struct {
		on   bool
		name string
	}{{f.Authority, "authority"}, {f.TLS, "tls_facts"}, {f.ALPN, "alpn"}, {f.UniqueID, "unique_id"}, {f.CRC32C, "crc32c"}} {
		if o.on {
			out += " " + o.name
		}
	}
	return out
}

// Append appends the header that tells a server of a client's connection.
func (f Form) Append(dst []byte, c *flow.Conn) []byte {
	h := pires.HeaderProxyFromAddrs(f.Version, tcpAddr(c.Client), tcpAddr(c.Local))
	return f.finish(dst, h, f.facts(c))
}

// AppendLocal appends the header of a connection that is our own, such as a
// probe: LOCAL, in version 1 UNKNOWN.
func (f Form) AppendLocal(dst []byte) []byte {
	h := &pires.Header{Version: f.Version, Command: pires.LOCAL, TransportProtocol: pires.UNSPEC}
	return f.finish(dst, h, nil)
}

// finish writes the header. Facts that would make it longer than receivers take
// are left out; that is no more than a client certificate's odd name could do.
func (f Form) finish(dst []byte, h *pires.Header, facts []byte) []byte {
	if f.Version == 2 && f.CRC32C {
		facts = appendTLV(facts, typeCRC32C, "\x00\x00\x00\x00")
	}
	b, err := h.Format() // only addresses of two families could fail it, and those were made one
	if err != nil {
		b, _ = (&pires.Header{Version: f.Version, Command: pires.LOCAL, TransportProtocol: pires.UNSPEC}).Format()
	}
	if f.Version != 2 || len(facts) == 0 || len(b)+len(facts) > MaxBytes {
		return append(dst, b...)
	}
	at := len(b) + len(facts) - 4
	b = append(b, facts...)
	binary.BigEndian.PutUint16(b[14:], uint16(len(b)-prefix))
	if f.CRC32C {
		binary.BigEndian.PutUint32(b[at:], checksum(b, at))
	}
	return append(dst, b...)
}

// facts gives the TLVs that the form asks for and the connection has. What an
// earlier proxy told is passed on where this one has not seen it itself.
func (f Form) facts(c *flow.Conn) []byte {
	var b []byte
	told := c.Told
	if told == nil {
		told = &flow.Told{}
	}
	if f.ALPN {
		switch {
		case c.TLS != nil:
			b = appendTLV(b, typeALPN, c.TLS.ALPN)
		case told.ALPN != "":
			b = appendTLV(b, typeALPN, told.ALPN)
		}
	}
	if f.Authority {
		b = appendTLV(b, typeAuthority, authority(c, told))
	}
	if f.UniqueID {
		id := c.AppendUniqueID(nil)
		b = appendTLV(b, typeUniqueID, string(id[:min(len(id), maxUniqueID)]))
	}
	if f.TLS {
		b = appendTLS(b, c, told)
	}
	return b
}

// authority gives the name that the client asked for.
func authority(c *flow.Conn, told *flow.Told) string {
	switch {
	case c.TLS != nil:
		return c.TLS.ServerName
	case c.Hello != nil && c.Hello.ServerName != "":
		return c.Hello.ServerName
	default:
		return told.Authority
	}
}

// appendTLS appends how the client spoke TLS: to us, or to who told of it.
func appendTLS(b []byte, c *flow.Conn, told *flow.Told) []byte {
	var client byte
	verify := uint32(1)
	var version, cn, cipher string
	switch {
	case c.TLS != nil:
		client = clientTLS
		version, cipher = tlsVersion(c.TLS.Version), tls.CipherSuiteName(c.TLS.Cipher)
		if c.TLS.Client != nil { // the handshake fails with one that does not verify
			client |= clientCertSess
			if !c.TLS.Resumed {
				client |= clientCertConn
			}
			verify, cn = 0, commonName(c.TLS.Client.Subject)
		}
	case told.TLS != nil:
		client = clientTLS
		if told.TLS.Cert {
			client |= clientCertSess
		}
		if told.TLS.Verified {
			verify = 0
		}
		version, cn, cipher = told.TLS.Version, told.TLS.CN, told.TLS.Cipher
	default:
		return b
	}
	v := binary.BigEndian.AppendUint32([]byte{client}, verify)
	v = appendTLV(v, typeVersion, version)
	v = appendTLV(v, typeCipher, cipher)
	v = appendTLV(v, typeCN, cn)
	return appendTLV(b, typeTLS, string(v))
}

// tlsVersion writes a version as OpenSSL does, and with it everyone who reads
// this TLV.
func tlsVersion(v uint16) string {
	switch v {
	case tls.VersionTLS13:
		return "TLSv1.3"
	case tls.VersionTLS12:
		return "TLSv1.2"
	}
	return tls.VersionName(v)
}

// commonName takes the CN out of a name as RFC 4514 writes it.
func commonName(subject string) string {
	for i := 0; i < len(subject); {
		j := i
		for j < len(subject) && subject[j] != ',' && subject[j] != '+' {
			if subject[j] == '\\' {
				j++
			}
			j++
		}
		j = min(j, len(subject))
		if cn, ok := strings.CutPrefix(subject[i:j], "CN="); ok {
			return strings.ReplaceAll(cn, `\`, "")
		}
		i = j + 1
	}
	return ""
}

// appendTLV appends a TLV, none for the empty value.
func appendTLV(b []byte, kind byte, value string) []byte {
	if value == "" || len(value) > maxBlock {
		return b
	}
	b = append(b, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}

// tcpAddr gives an address as pires takes it; one that is not there has none of
// the families it writes.
func tcpAddr(a netip.AddrPort) net.Addr {
	if !a.IsValid() {
		return &net.UnixAddr{}
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port()))
}
