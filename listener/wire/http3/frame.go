package http3

import "encoding/binary"

// Types of frames (RFC 9114 §7.2).
const (
	FrameData     = 0x0
	FrameHeaders  = 0x1
	FrameCancel   = 0x3 // CANCEL_PUSH
	FrameSettings = 0x4
	FramePush     = 0x5
	FrameGoAway   = 0x7
	FrameMaxPush  = 0xd // MAX_PUSH_ID
)

// Types of unidirectional streams (RFC 9114 §6.2, RFC 9204 §4.2).
const (
	StreamControl = 0x0
	StreamPush    = 0x1
	StreamEncoder = 0x2
	StreamDecoder = 0x3
)

// Settings (RFC 9114 §7.2.4.1, RFC 9204 §5, RFC 9220 §3).
const (
	SettingTable    = 0x1 // QPACK_MAX_TABLE_CAPACITY
	SettingHeaders  = 0x6 // MAX_FIELD_SECTION_SIZE
	SettingBlocked  = 0x7 // QPACK_BLOCKED_STREAMS
	SettingExtended = 0x8 // ENABLE_CONNECT_PROTOCOL
)

// Code is an error code of a stream or of a connection (RFC 9114 §8.1, RFC 9204
// §6).
type Code uint64

// The error codes.
const (
	CodeNone          Code = 0x100
	CodeProtocol      Code = 0x101
	CodeInternal      Code = 0x102
	CodeCreation      Code = 0x103
	CodeCritical      Code = 0x104
	CodeUnexpected    Code = 0x105
	CodeFrame         Code = 0x106
	CodeLoad          Code = 0x107
	CodeID            Code = 0x108
	CodeSettings      Code = 0x109
	CodeNoSettings    Code = 0x10a
	CodeRejected      Code = 0x10b
	CodeCancelled     Code = 0x10c
	CodeIncomplete    Code = 0x10d
	CodeMessage       Code = 0x10e
	CodeConnect       Code = 0x10f
	CodeCompression   Code = 0x200
	CodeEncoderStream Code = 0x201
	CodeDecoderStream Code = 0x202
)

// MaxVarint is the largest integer that fits.
const MaxVarint = 1<<62 - 1

// Varint reads an integer (RFC 9000 §16) from the start of p; n is how many bytes
// it took, 0 if there are too few.
func Varint(p []byte) (v uint64, n int) {
	if len(p) == 0 {
		return 0, 0
	}
	n = 1 << (p[0] >> 6)
	if len(p) < n {
		return 0, 0
	}
	v = uint64(p[0] & 0x3f)
	for _, b := range p[1:n] {
		v = v<<8 | uint64(b)
	}
	return v, n
}

// AppendVarint appends an integer, which is at most MaxVarint.
func AppendVarint(b []byte, v uint64) []byte {
	switch {
	case v < 1<<6:
		return append(b, byte(v))
	case v < 1<<14:
		return binary.BigEndian.AppendUint16(b, uint16(v)|1<<14)
	case v < 1<<30:
		return binary.BigEndian.AppendUint32(b, uint32(v)|2<<30)
	default:
		return binary.BigEndian.AppendUint64(b, v|3<<62)
	}
}

// AppendFrame appends the head of a frame.
func AppendFrame(b []byte, kind, length uint64) []byte {
	return AppendVarint(AppendVarint(b, kind), length)
}

// ParseFrame reads the head of a frame; n is 0 if there are too few bytes.
func ParseFrame(p []byte) (kind, length uint64, n int) {
	kind, a := Varint(p)
	if a == 0 {
		return 0, 0, 0
	}
	length, b := Varint(p[a:])
	if b == 0 {
		return 0, 0, 0
	}
	return kind, length, a + b
}

// Foreign reports the frame types of HTTP/2 that HTTP/3 has taken out of use
// (RFC 9114 §7.2.8).
func Foreign(kind uint64) bool {
	return kind == 0x2 || kind == 0x6 || kind == 0x8 || kind == 0x9
}

// Reserve appends the head of a frame whose length, below 1<<14, is not known
// yet; Seal sets it.
func Reserve(b []byte, kind byte) []byte { return append(b, kind, 0, 0) }

// Seal gives the frame that Reserve began at at its length: all that has been
// appended. It moves what is too long for the room that was left.
func Seal(b []byte, at int) []byte {
	n := len(b) - at - 3
	if n < 1<<14 {
		binary.BigEndian.PutUint16(b[at+1:], uint16(n)|1<<14)
		return b
	}
	b = append(b, 0, 0)
	copy(b[at+5:], b[at+3:])
	binary.BigEndian.PutUint32(b[at+1:], uint32(n)|2<<30)
	return b
}
