// Package proxyproto reads and writes PROXY headers, versions 1 and 2
// (https://www.haproxy.org/download/3.4/doc/proxy-protocol.txt, below "spec").
//
// Addresses are read and written by pires/go-proxyproto. It is given one whole
// header and never a stream, because by itself it reads ahead, refuses headers
// that come in two segments, and bounds nothing before it allocates; and what it
// leaves open is checked here: the checksum, the shape of TLVs, their texts.
package proxyproto

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	pires "github.com/pires/go-proxyproto"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// The bounds of a header, in bytes.
const (
	maxLine   = 107 // spec §2.1, the line's end included
	prefix    = 16  // of version 2: signature, command, family, length
	MaxBytes  = prefix + maxBlock
	maxBlock  = 4096 // addresses and TLVs; a client certificate is the largest of them
	signature = "\r\n\r\n\x00\r\nQUIT\n"
	word      = "PROXY "
)

// The errors of a header.
var (
	ErrNone     = errors.New("no PROXY header")
	ErrTooLong  = errors.New("PROXY header too long")
	ErrTLV      = errors.New("malformed TLV in PROXY header")
	ErrChecksum = errors.New("wrong checksum in PROXY header")
	ErrText     = errors.New("text in PROXY header is not printable")
)

// Header is what a header says. Without addresses (Told.Local) the connection's
// own ones count.
type Header struct {
	Source, Destination netip.AddrPort
	Told                flow.Told
}

// Length gives the length of the header at the start of b: n is 0 when more
// bytes are needed to tell. The error is ErrNone as soon as no header can begin
// like this, or ErrTooLong.
func Length(b []byte) (n int, err error) {
	if begins(b, word) {
		if i := bytes.IndexByte(b[:min(len(b), maxLine)], '\n'); i >= 0 {
			return i + 1, nil
		}
		if len(b) >= maxLine {
			return 0, ErrTooLong
		}
		return 0, nil
	}
	if !begins(b, signature) {
		return 0, ErrNone
	}
	if len(b) < prefix {
		return 0, nil
	}
	block := int(binary.BigEndian.Uint16(b[14:]))
	if block > maxBlock {
		return 0, ErrTooLong
	}
	return prefix + block, nil
}

// begins reports whether b begins with s, as far as b goes.
func begins(b []byte, s string) bool {
	n := min(len(b), len(s))
	return string(b[:n]) == s[:n]
}

// Parse reads one header, which is all of b: as many bytes as Length says.
func Parse(b []byte) (Header, error) {
	if n, err := Length(b); err != nil {
		return Header{}, err
	} else if n != len(b) {
		return Header{}, errors.New("PROXY header cut short")
	}
	if b[0] == signature[0] {
		return parse2(b)
	}
	h, err := pires.Read(bufio.NewReaderSize(bytes.NewReader(b), maxLine))
	if err != nil {
		return Header{}, err
	}
	out := Header{Told: flow.Told{Version: 1, Local: true}}
	out.addresses(h)
	return out, nil
}

// parse2 reads a header of version 2.
func parse2(b []byte) (Header, error) {
	// Addresses of an unknown family are of no use, but the TLVs are: spec §2.2
	// leaves it to the receiver whether to take PROXY with UNSPEC, pires does not.
	const version, local, proxy, unspec = 0x20, 0, 1, 0
	out := Header{Told: flow.Told{Version: 2, Local: true}}
	if b[12] == version|proxy && b[13] == unspec {
		err := out.tlvs(b, prefix)
		return out, err
	}
	h, err := pires.Read(bufio.NewReaderSize(bytes.NewReader(b), len(b)))
	if err != nil {
		return Header{}, err
	}
	if b[12] == version|local { // spec §2.2: the block is to be discarded, whatever it holds
		return out, nil
	}
	out.addresses(h)
	raw, ok := addressBytes[b[13]>>4]
	if !ok || prefix+raw > len(b) {
		return Header{}, fmt.Errorf("PROXY header of the unknown family %#x", b[13])
	}
	err = out.tlvs(b, prefix+raw)
	return out, err
}

// addressBytes is how long the addresses of a family are.
var addressBytes = map[byte]int{0: 0, 1: 12, 2: 36, 3: 216}

// addresses takes over the addresses of a stream; others (unix sockets,
// datagrams) say nothing that a client could be known by.
func (h *Header) addresses(p *pires.Header) {
	src, dst, ok := p.TCPAddrs()
	if !ok || p.Command.IsLocal() {
		return
	}
	h.Source, h.Destination, h.Told.Local = addrPort(src), addrPort(dst), false
}

func addrPort(a *net.TCPAddr) netip.AddrPort {
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
