package http1

import (
	"io"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Chunked takes a chunked body apart (RFC 9112 §7.1). It is as strict as the
// grammar: a size is one to fifteen hex digits, lines end in CR LF, extensions
// begin with ";" and hold no control bytes.
type Chunked struct {
	state  chunkState
	remain uint64 // of the current chunk
	digits uint8
	ext    uint16 // bytes of extensions seen, all chunks together
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExt
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	chunkTrailer
	chunkDone
)

// maxExt bounds the extensions of one body: nobody uses them, but attackers.
const maxExt = 4 << 10

// Next looks at the bytes that follow: skip of them are framing to drop, then
// data of them are payload to take. err is nil while the body goes on (data may
// be zero: more bytes are needed), io.EOF when the last chunk was read and the
// trailer section follows at p[skip:] (see ParseTrailer).
func (c *Chunked) Next(p []byte) (skip, data int, err error) {
	for skip < len(p) {
		b := p[skip]
		switch c.state {
		case chunkSize:
			if isHexDigit(b) {
				if c.digits++; c.digits > 15 {
					return skip, 0, errChunk
				}
				c.remain = c.remain<<4 | uint64(hexValue(b))
				break
			}
			if c.digits == 0 {
				return skip, 0, errChunk
			}
			switch b {
			case ';':
				c.state = chunkExt
			case '\r':
				c.state = chunkSizeLF
			default:
				return skip, 0, errChunk
			}
		case chunkExt:
			if b == '\r' {
				c.state = chunkSizeLF
			} else if c.ext++; b < ' ' && b != '\t' || b == 0x7f || c.ext > maxExt {
				return skip, 0, errChunk
			}
		case chunkSizeLF:
			if b != '\n' {
				return skip, 0, errChunk
			}
			c.digits = 0
			if c.remain == 0 {
				c.state = chunkTrailer
				return skip + 1, 0, io.EOF
			}
			c.state = chunkData
		case chunkData:
			n := min(uint64(len(p)-skip), c.remain)
			if c.remain -= n; c.remain == 0 {
				c.state = chunkDataCR
			}
			return skip, int(n), nil
		case chunkDataCR:
			if b != '\r' {
				return skip, 0, errChunk
			}
			c.state = chunkDataLF
		case chunkDataLF:
			if b != '\n' {
				return skip, 0, errChunk
			}
			c.state = chunkSize
		case chunkTrailer, chunkDone:
			return skip, 0, io.EOF
		}
		skip++
	}
	if c.state >= chunkTrailer {
		return skip, 0, io.EOF
	}
	return skip, 0, nil
}

// Ready reports whether p holds what the decoder can go on with: payload, the
// whole of the end, or a fault. Framing alone is not: whoever reads on would
// wait.
func (c *Chunked) Ready(p []byte) bool {
	probe := *c
	skip, data, err := probe.Next(p)
	if err != io.EOF {
		return data > 0 || err != nil
	}
	end, _, err := TrailerEnd(p[skip:], 0)
	return end > 0 || err != nil
}

// Reset readies it for another body.
func (c *Chunked) Reset() { *c = Chunked{} }

// TrailerEnd is HeadEnd for a trailer section, which may be empty (CR LF only).
func TrailerEnd(buf []byte, from int) (end, next int, err error) {
	return HeadEnd(buf, from)
}

// ParseTrailer parses a whole trailer section into h. Fields that frame, route
// or authenticate a message have no business there and are dropped (RFC 9110
// §6.5.1).
func ParseTrailer(buf []byte, fieldLimit int, h *flow.Header) error {
	h.Reset(buf)
	if len(buf) == 2 {
		return nil
	}
	var hd Head
	if err := hd.fields(buf, 0, fieldLimit, h); err != nil {
		return errTrailer
	}
	for i := range h.Len() {
		if id, _, _, ok := h.At(i); ok && in(notTrailing, id) {
			h.DelAt(i)
		}
	}
	return nil
}

const notTrailing = hop | guarded | 1<<flow.FieldTrailer | 1<<flow.FieldProxyAuthorization |
	1<<flow.FieldProxyAuthenticate | 1<<flow.FieldContentType | 1<<flow.FieldCacheControl |
	1<<flow.FieldLocation | 1<<flow.FieldTE | 1<<flow.FieldVary

// AppendChunkSize appends the line before a chunk of n bytes.
func AppendChunkSize(dst []byte, n int) []byte {
	const digits = "0123456789abcdef"
	var b [16]byte
	i := len(b)
	for {
		i--
		b[i] = digits[n&15]
		if n >>= 4; n == 0 {
			break
		}
	}
	return append(append(dst, b[i:]...), '\r', '\n')
}

// AppendLastChunk appends the last chunk and the trailer section.
func AppendLastChunk(dst []byte, trailer *flow.Header) []byte {
	dst = append(dst, "0\r\n"...)
	if trailer != nil {
		dst = appendFields(dst, trailer, notTrailing)
	}
	return append(dst, '\r', '\n')
}

func isHexDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// Untake gives back the last n payload bytes that Next gave out.
func (c *Chunked) Untake(n int) {
	c.remain += uint64(n)
	c.state = chunkData
}
