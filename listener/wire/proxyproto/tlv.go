package proxyproto

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"strings"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// The types of TLVs (spec §2.2.1 and following).
const (
	typeALPN      = 0x01
	typeAuthority = 0x02
	typeCRC32C    = 0x03
	typeUniqueID  = 0x05
	typeTLS       = 0x20
	typeVersion   = 0x21
	typeCN        = 0x22
	typeCipher    = 0x23
	typeSigAlg    = 0x24
	typeKeyAlg    = 0x25
	typeNetNS     = 0x30

	maxUniqueID = 128 // spec §2.2.5

	clientTLS      = 1 // bits of the TLS TLV's first byte (spec §2.2.6)
	clientCertConn = 2
	clientCertSess = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// tlvs reads those of header b, which begin at from.
func (h *Header) tlvs(b []byte, from int) error {
	var fault error
	err := each(b[from:], func(kind byte, value []byte, at int) {
		if err := h.take(kind, value, b, from+at); err != nil && fault == nil {
			fault = err
		}
	})
	if err == nil {
		err = fault
	}
	return err
}

// each calls f for all TLVs; at is where in b the value begins.
func each(b []byte, f func(kind byte, value []byte, at int)) error {
	for i := 0; i < len(b); {
		if len(b)-i < 3 {
			return ErrTLV
		}
		n := int(binary.BigEndian.Uint16(b[i+1:]))
		if len(b)-i-3 < n {
			return ErrTLV
		}
		f(b[i], b[i+3:i+3+n], i+3)
		i += 3 + n
	}
	return nil
}

// take notes one TLV; those that nobody here reads are left out.
func (h *Header) take(kind byte, value, whole []byte, at int) error {
	t := &h.Told
	switch kind {
	case typeALPN:
		return text(&t.ALPN, value)
	case typeAuthority:
		err := text(&t.Authority, value)
		t.Authority = strings.ToLower(t.Authority)
		return err
	case typeCRC32C:
		if len(value) != 4 {
			return ErrTLV
		}
		if binary.BigEndian.Uint32(value) != checksum(whole, at) {
			return ErrChecksum
		}
	case typeUniqueID:
		if len(value) > maxUniqueID {
			return ErrTLV
		}
		if text(&t.UniqueID, value) != nil {
			t.UniqueID = hex.EncodeToString(value) // spec §2.2.5: it is opaque
		}
	case typeTLS:
		return h.tls(value)
	case typeNetNS:
		return text(&t.NetNS, value)
	}
	return nil
}

// checksum is that of a header whose own checksum, at a place, counts as zero
// (spec §2.2.3).
func checksum(b []byte, at int) uint32 {
	var zero [4]byte
	sum := crc32.Update(0, castagnoli, b[:at])
	sum = crc32.Update(sum, castagnoli, zero[:])
	return crc32.Update(sum, castagnoli, b[at+4:])
}

// tls reads the TLV that holds TLVs (spec §2.2.6).
func (h *Header) tls(value []byte) error {
	if len(value) < 5 {
		return ErrTLV
	}
	t := &flow.ToldTLS{}
	t.Cert = value[0]&(clientCertConn|clientCertSess) != 0
	t.Verified = t.Cert && binary.BigEndian.Uint32(value[1:]) == 0
	var fault error
	err := each(value[5:], func(kind byte, v []byte, _ int) {
		to := map[byte]*string{typeVersion: &t.Version, typeCN: &t.CN, typeCipher: &t.Cipher, typeSigAlg: &t.SigAlg, typeKeyAlg: &t.KeyAlg}[kind]
		if to == nil {
			return
		}
		if err := text(to, v); err != nil && fault == nil {
			fault = err
		}
	})
	if err == nil {
		err = fault
	}
	if value[0]&clientTLS != 0 {
		h.Told.TLS = t
	}
	return err
}

// text takes a value over that will stand in header fields and log lines, and
// refuses what could break out of them. Names in UTF-8 (CN) are escaped.
func text(to *string, v []byte) error {
	out := make([]byte, 0, len(v))
	for _, c := range v {
		switch {
		case c < ' ' || c == 0x7f:
			return ErrText
		case c > 0x7f:
			out = append(append(out, '\\'), hex.EncodeToString([]byte{c})...)
		default:
			out = append(out, c)
		}
	}
	*to = string(out)
	return nil
}
