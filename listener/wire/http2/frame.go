// Package http2 is the HTTP/2 codec without sockets (RFC 9113, RFC 7541): frames,
// field blocks written without HPACK's dynamic table, and what is asked of fields
// that were read. Both sides share it: listener/http2 serves clients with it,
// modules/transport speaks to servers.
package http2

import "encoding/binary"

// Types of frames (RFC 9113 §6).
const (
	TypeData = iota
	TypeHeaders
	TypePriority
	TypeReset
	TypeSettings
	TypePush
	TypePing
	TypeGoAway
	TypeWindow
	TypeContinuation
)

// Flags of frames.
const (
	FlagEndStream  = 0x1
	FlagAck        = 0x1
	FlagEndHeaders = 0x4
	FlagPadded     = 0x8
	FlagPriority   = 0x20
)

// Code is an error code (RFC 9113 §7).
type Code uint32

// The error codes that are sent, or acted upon.
const (
	CodeNone        Code = 0x0
	CodeProtocol    Code = 0x1
	CodeInternal    Code = 0x2
	CodeFlow        Code = 0x3
	CodeClosed      Code = 0x5
	CodeFrameSize   Code = 0x6
	CodeRefused     Code = 0x7
	CodeCancel      Code = 0x8
	CodeCompression Code = 0x9
	CodeCalm        Code = 0xb
	CodeSecurity    Code = 0xc
)

// Settings (RFC 9113 §6.5.2, RFC 8441 §3).
const (
	SettingTable    = 0x1
	SettingPush     = 0x2
	SettingStreams  = 0x3
	SettingWindow   = 0x4
	SettingFrame    = 0x5
	SettingHeaders  = 0x6
	SettingExtended = 0x8
)

// Sizes, and the bytes that a client begins a connection with (RFC 9113 §3.4).
const (
	Preface       = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	FrameHead     = 9
	MaxFrame      = 16 << 10 // what both sides may send: never raised by us, never used by us when raised
	MaxWindow     = 1<<31 - 1
	DefaultWindow = 1<<16 - 1
)

// Frame is a frame's head.
type Frame struct {
	Length uint32
	Kind   byte
	Flags  byte
	ID     uint32 // stream
}

// ParseFrame reads the head of a frame; b has FrameHead bytes at least.
func ParseFrame(b []byte) Frame {
	return Frame{
		Length: uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]),
		Kind:   b[3], Flags: b[4], ID: binary.BigEndian.Uint32(b[5:]) & MaxWindow,
	}
}

// Has reports whether a flag is set.
func (f *Frame) Has(flag byte) bool { return f.Flags&flag != 0 }

// AppendFrame appends the head of a frame.
func AppendFrame(b []byte, length int, kind, flags byte, id uint32) []byte {
	b = append(b, byte(length>>16), byte(length>>8), byte(length), kind, flags)
	return binary.BigEndian.AppendUint32(b, id)
}

// AppendReset appends a whole RST_STREAM.
func AppendReset(b []byte, id uint32, c Code) []byte {
	return binary.BigEndian.AppendUint32(AppendFrame(b, 4, TypeReset, 0, id), uint32(c))
}

// AppendWindow appends a whole WINDOW_UPDATE of n bytes, of the connection if id is 0.
func AppendWindow(b []byte, id uint32, n int) []byte {
	return binary.BigEndian.AppendUint32(AppendFrame(b, 4, TypeWindow, 0, id), uint32(n))
}

// AppendGoAway appends a whole GOAWAY; last is the last stream that is, or may be, served.
func AppendGoAway(b []byte, last uint32, c Code) []byte {
	b = binary.BigEndian.AppendUint32(AppendFrame(b, 8, TypeGoAway, 0, 0), last)
	return binary.BigEndian.AppendUint32(b, uint32(c))
}

// AppendSetting appends one setting to the payload of SETTINGS.
func AppendSetting(b []byte, id uint16, v uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(b, id), v)
}

// Unpad takes the padding off a payload (RFC 9113 §6.1).
func Unpad(f *Frame, p []byte) ([]byte, bool) {
	if !f.Has(FlagPadded) {
		return p, true
	}
	if len(p) == 0 || int(p[0]) > len(p)-1 {
		return nil, false
	}
	return p[1 : len(p)-int(p[0])], true
}

// EndBlock settles the frames of a field block that was appended to b behind the
// head of a HEADERS frame at start: one frame, or, where the block is longer than a
// frame may be, HEADERS and CONTINUATION. The frame's head has been appended with
// FlagEndHeaders and a length of 0.
func EndBlock(b []byte, start int) []byte {
	at := start + FrameHead
	n := len(b) - at
	if n <= MaxFrame {
		b[start], b[start+1], b[start+2] = byte(n>>16), byte(n>>8), byte(n)
		return b
	}
	f := ParseFrame(b[start:])
	block := append([]byte(nil), b[at:]...)
	b = b[:start]
	kind, flags := byte(TypeHeaders), f.Flags&^FlagEndHeaders
	for len(block) > 0 {
		piece := block[:min(len(block), MaxFrame)]
		if block = block[len(piece):]; len(block) == 0 {
			flags |= FlagEndHeaders
		}
		b = append(AppendFrame(b, len(piece), kind, flags, f.ID), piece...)
		kind, flags = TypeContinuation, 0
	}
	return b
}
