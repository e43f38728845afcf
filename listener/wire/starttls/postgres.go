// Package starttls knows how clients of protocols that begin in clear ask for TLS.
//
// PostgreSQL's (its manual, "Protocol Flow", "SSL Session Encryption", and "Message
// Formats", SSLRequest): the client sends eight bytes, the server answers with one,
// `S` or `N`, and after `S` the client begins with its ClientHello. Since PostgreSQL
// 17 a client may begin with the ClientHello at once.
package starttls

import (
	"encoding/binary"
	"errors"
	"io"
)

// Request is what a PostgreSQL client begins with.
type Request uint8

// The requests.
const (
	NeedMore Request = iota
	TLS              // SSLRequest
	GSS              // GSSENCRequest, which may be refused; the client then begins anew
	Hello            // a ClientHello: it asks for nothing first
	Clear            // anything else: a session without TLS, or a request to cancel one
)

// RequestBytes is the length of an SSLRequest and of a GSSENCRequest.
const RequestBytes = 8

const (
	codeTLS       = 80877103
	codeGSS       = 80877104
	recordTypeTLS = 22 // RFC 8446 §5.1, handshake
)

// Answers to requests.
const (
	Yes = 'S'
	No  = 'N'
)

// Postgres tells what a stream begins with.
func Postgres(b []byte) Request {
	switch {
	case len(b) == 0:
		return NeedMore
	case b[0] == recordTypeTLS: // as a length this would be 369 MB
		return Hello
	case len(b) < RequestBytes:
		for i, c := range b[:min(len(b), 4)] { // a length other than eight is no request
			if c != "\x00\x00\x00\x08"[i] {
				return Clear
			}
		}
		return NeedMore
	case binary.BigEndian.Uint32(b) != RequestBytes:
		return Clear
	}
	switch binary.BigEndian.Uint32(b[4:]) {
	case codeTLS:
		return TLS
	case codeGSS:
		return GSS
	}
	return Clear
}

// PostgresRequest is an SSLRequest.
var PostgresRequest = []byte{0, 0, 0, RequestBytes, 0x04, 0xd2, 0x16, 0x2f}

// ErrRefused is Ask's error when the server speaks no TLS.
var ErrRefused = errors.New("server refuses TLS")

// Ask asks a PostgreSQL server for TLS, and reads its answer and not one byte more:
// what an attacker could have put behind it must not be taken for the server's
// (CVE-2021-23222).
func Ask(rw io.ReadWriter) error {
	if _, err := rw.Write(PostgresRequest); err != nil {
		return err
	}
	var one [1]byte
	if _, err := io.ReadFull(rw, one[:]); err != nil {
		return err
	}
	if one[0] != Yes { // N, or the E of a server that does not know the question
		return ErrRefused
	}
	return nil
}

// PostgresTLSOnly is what a client gets that begins in clear where TLS is demanded:
// an ErrorResponse, with the SQLSTATE that PostgreSQL has for the same case.
var PostgresTLSOnly = func() []byte {
	const fields = "SFATAL\x00VFATAL\x00C28000\x00Mthis server takes TLS only: write sslmode=require\x00\x00"
	b := binary.BigEndian.AppendUint32([]byte{'E'}, uint32(4+len(fields)))
	return append(b, fields...)
}()
