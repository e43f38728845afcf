package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"

	"github.com/quic-go/quic-go"

	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// Bounds of what a server may say beside its answers.
const (
	maxControl       = 4 << 10 // bytes of a frame of the control stream
	maxControlFrames = 10_000  // over a connection's life
	maxSettings      = 64
)

// listen takes the server's streams of one direction until the connection ends.
func (c *line) listen() {
	for {
		q, err := c.q.AcceptUniStream(context.Background())
		if err != nil {
			c.mu.Lock()
			c.leave()
			c.finish()
			c.mu.Unlock()
			return
		}
		go func() {
			if e := c.listenTo(q); e != 0 {
				c.protest(e)
			}
		}()
	}
}

// listenTo reads one of the server's streams of one direction (RFC 9114 §6.2); it
// gives the connection's error, 0 for none.
func (c *line) listenTo(q *quic.ReceiveStream) wire.Code {
	n := &noting{q: q}
	r := bufio.NewReaderSize(n, 64)
	kind, err := readVarint(r)
	if err != nil {
		return 0
	}
	switch kind {
	case wire.StreamControl, wire.StreamEncoder, wire.StreamDecoder:
	case wire.StreamPush: // we have allowed none (RFC 9114 §4.6)
		return wire.CodeID
	default:
		q.CancelRead(quic.StreamErrorCode(wire.CodeCreation))
		return 0
	}
	c.mu.Lock()
	twice := c.uni[kind]
	c.uni[kind] = true
	c.mu.Unlock()
	if twice {
		return wire.CodeCreation
	}
	e := wire.Code(0)
	switch kind {
	case wire.StreamControl:
		e = c.readControl(r)
	case wire.StreamEncoder: // without a table there is nothing to say but its capacity, 0
		for b := byte(0x20); err == nil; b, err = r.ReadByte() {
			if b != 0x20 {
				return wire.CodeEncoderStream
			}
		}
	case wire.StreamDecoder:
		e = readDecoder(r)
	}
	if e == 0 && n.ended() {
		return wire.CodeCritical // these three may not end (RFC 9114 §6.2.1, RFC 9204 §4.2)
	}
	return e
}

// noting remembers how a stream ended.
type noting struct {
	q   *quic.ReceiveStream
	err error
}

func (n *noting) Read(p []byte) (int, error) {
	k, err := n.q.Read(p)
	n.err = err
	return k, err
}

// ended reports whether it was the server who ended the stream, and not with the
// connection.
func (n *noting) ended() bool {
	var cut *quic.StreamError
	return n.err == io.EOF || errors.As(n.err, &cut)
}

// readDecoder reads what the server's decoder says: streams that were cancelled are
// all it may tell of where no table is used (RFC 9204 §4.4).
func readDecoder(r *bufio.Reader) wire.Code {
	for {
		b, err := r.ReadByte()
		if err != nil {
			return 0
		}
		if b&0xc0 != 0x40 {
			return wire.CodeDecoderStream
		}
		for more, n := b&0x3f == 0x3f, 0; more; n++ {
			if b, err = r.ReadByte(); err != nil {
				return 0
			}
			if more = b&0x80 != 0; n > 8 {
				return wire.CodeDecoderStream
			}
		}
	}
}

// readControl reads the control stream to its end.
func (c *line) readControl(r *bufio.Reader) wire.Code {
	var b [maxControl]byte
	for n := 0; ; n++ {
		kind, err := readVarint(r)
		if err != nil {
			return 0
		}
		size, err := readVarint(r)
		switch {
		case err != nil:
			return 0
		case n == 0 && kind != wire.FrameSettings:
			return wire.CodeNoSettings
		case n > 0 && kind == wire.FrameSettings:
			return wire.CodeUnexpected
		case size > maxControl, n >= maxControlFrames:
			return wire.CodeLoad
		}
		if _, err := io.ReadFull(r, b[:size]); err != nil {
			return 0
		}
		if e := c.controlFrame(kind, b[:size]); e != 0 {
			return e
		}
	}
}

func (c *line) controlFrame(kind uint64, p []byte) wire.Code {
	switch {
	case kind == wire.FrameSettings:
		return c.settings(p)
	case kind == wire.FrameGoAway:
		id, n := wire.Varint(p)
		c.mu.Lock()
		last := c.goAway
		c.mu.Unlock()
		switch {
		case n == 0 || n != len(p):
			return wire.CodeFrame
		case id%4 != 0 || id > last: // RFC 9114 §5.2
			return wire.CodeID
		}
		c.goesAway(id)
	case kind == wire.FrameCancel: // of a push that nobody has promised
		return wire.CodeID
	case kind == wire.FrameData, kind == wire.FrameHeaders, kind == wire.FramePush, kind == wire.FrameMaxPush, wire.Foreign(kind):
		return wire.CodeUnexpected
	}
	return 0
}

// settings takes in the server's settings (RFC 9114 §7.2.4).
func (c *line) settings(p []byte) wire.Code {
	var seen []uint64
	extended := false
	for len(p) > 0 {
		id, n := wire.Varint(p)
		v, m := wire.Varint(p[n:])
		switch {
		case n == 0 || m == 0:
			return wire.CodeFrame
		case slices.Contains(seen, id), id >= 2 && id <= 5, id == wire.SettingExtended && v > 1:
			return wire.CodeSettings
		case len(seen) >= maxSettings:
			return wire.CodeLoad
		}
		p, seen = p[n+m:], append(seen, id)
		if id == wire.SettingExtended {
			extended = v == 1
		}
	}
	c.mu.Lock()
	c.extended = extended
	c.mu.Unlock()
	close(c.settled) // once: a second frame of settings is refused
	return 0
}

var errVarint = errors.New("http3: integer too long")

func readVarint(r *bufio.Reader) (uint64, error) {
	var b [8]byte
	for n := range b {
		c, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		b[n] = c
		if v, k := wire.Varint(b[:n+1]); k > 0 {
			return v, nil
		}
	}
	return 0, errVarint
}
