package health

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

var sslHelloModule = Module{
	Spec: spec.Word{
		Name: "ssl_hello",
		Doc:  "The server is well if it answers a TLS hello, with whatever TLS says",
		Long: "No handshake is done: it is for servers whose certificate or whose client authentication stands in a handshake's way. " +
			"HAProxy's `ssl-hello-chk` sends an SSLv3 hello, to which servers of today may say nothing at all. This one is a TLS 1.2 " +
			"hello that offers the suites which nearly every server has, and none of the extensions that TLS 1.3 needs; a server " +
			"that takes TLS 1.3 only refuses it with an alert. ServerHello and alert pass both: what answers so speaks TLS.",
		Example: "health ssl_hello interval 5s",
	},
	New: func(*config.Node) (Probe, error) { return sslHelloProbe{}, nil },
}

type sslHelloProbe struct{}

// helloSuites are what the hello offers, ECDHE and plain RSA with AES (RFC 5289,
// RFC 5246 appendix A.5), so that certificates of every kind have one.
var helloSuites = []uint16{
	0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc009, 0xc013, 0xc00a, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
}

// helloExtensions are the groups x25519, P-256 and P-384 (RFC 8422 §5.1), the
// uncompressed point format, and signatures by RSA and ECDSA (RFC 5246 §7.4.1.4.1).
var helloExtensions = []byte{
	0, 10, 0, 8, 0, 6, 0, 0x1d, 0, 0x17, 0, 0x18,
	0, 11, 0, 2, 1, 0,
	0, 13, 0, 16, 0, 14, 4, 3, 5, 3, 8, 4, 8, 5, 4, 1, 5, 1, 2, 1,
}

// appendHello appends a ClientHello in one record (RFC 5246 §6.2.1, §7.4.1.2).
func appendHello(b []byte) []byte {
	body := []byte{3, 3} // TLS 1.2
	var random [32]byte
	_, _ = rand.Read(random[:]) // it never fails
	body = append(body, random[:]...)
	body = append(body, 0) // no session
	body = binary.BigEndian.AppendUint16(body, uint16(2*len(helloSuites)))
	for _, s := range helloSuites {
		body = binary.BigEndian.AppendUint16(body, s)
	}
	body = append(body, 1, 0) // no compression
	body = binary.BigEndian.AppendUint16(body, uint16(len(helloExtensions)))
	body = append(body, helloExtensions...)
	b = append(b, 22, 3, 1) // a handshake record; 3.1 is what old servers expect of a first one
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(body)))
	b = append(b, 1, 0) // ClientHello
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

func (sslHelloProbe) Probe(ctx context.Context, t *Target) (Result, error) {
	s, err := open(ctx, t)
	if err != nil {
		return connectFailed(ctx, err)
	}
	defer s.Close()
	if _, err := s.Write(appendHello(nil)); err != nil {
		return answerFailed(ctx, "Layer6", err)
	}
	b, err := s.bytes(6) // the record's head and the message's kind
	if err != nil {
		return answerFailed(ctx, "Layer6", err)
	}
	size := binary.BigEndian.Uint16(b[3:])
	switch {
	case b[1] != 3 || b[2] > 4 || size == 0 || size > 16<<10+2048:
	case b[0] == 22 && b[5] == 2:
		return passed("Layer6 check passed", 0, "ServerHello"), nil
	case b[0] == 21 && size == 2:
		return passed("Layer6 check passed", 0, "alert"), nil
	}
	return failed("Layer6 invalid response", 0, fmt.Sprintf("%x is no answer to a hello", b))
}
