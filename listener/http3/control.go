package http3

import (
	"errors"
	"io"

	"github.com/quic-go/quic-go"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/multi"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// greet opens our control stream and sends the settings; false: the connection
// has ended. QPACK's streams are not opened, as there is nothing to say on them
// (RFC 9204 §4.2).
func (c *conn) greet(limits *flow.Limits) bool {
	control, err := c.q.OpenUniStream()
	if err != nil {
		c.abandon(wire.CodeCreation) // the client allows no stream, which it must
		return false
	}
	var settings, b []byte
	settings = wire.AppendVarint(wire.AppendVarint(settings, wire.SettingHeaders), uint64(limits.HeadBytes))
	settings = wire.AppendVarint(wire.AppendVarint(settings, wire.SettingExtended), 1)
	b = wire.AppendVarint(b, wire.StreamControl)
	b = append(wire.AppendFrame(b, wire.FrameSettings, uint64(len(settings))), settings...)
	if _, err := control.Write(b); err != nil {
		return false
	}
	c.control = control
	return true
}

// goAway tells that streams from id on will not be served.
func (c *conn) goAway(id uint64) {
	v := wire.AppendVarint(nil, id)
	_, _ = c.control.Write(append(wire.AppendFrame(nil, wire.FrameGoAway, uint64(len(v))), v...))
}

// unidirectional takes the client's streams of one direction.
func (c *conn) unidirectional() {
	defer c.workers.All.Done()
	for {
		q, err := c.q.AcceptUniStream(c.ctx)
		if err != nil {
			return
		}
		c.workers.All.Add(1)
		go func() {
			defer c.workers.All.Done()
			defer q.ReleaseStreamCredit()
			if e := c.listenTo(q); e != 0 {
				c.abandon(e)
			}
		}()
	}
}

// listenTo reads one of the client's streams of one direction; it gives the
// connection's error, 0 for none.
func (c *conn) listenTo(q *quic.ReceiveStream) wire.Code {
	r := &controlReader{q: q}
	kind, err := r.varint()
	if err != nil {
		return 0 // it ended before it had begun (RFC 9114 §6.2)
	}
	switch kind {
	case wire.StreamControl, wire.StreamEncoder, wire.StreamDecoder:
	case wire.StreamPush: // only servers push (RFC 9114 §6.2.2)
		return wire.CodeCreation
	default:
		q.CancelRead(quic.StreamErrorCode(wire.CodeCreation))
		c.charge(multi.CostReset)
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
	case wire.StreamEncoder:
		e = c.readEncoder(r)
	case wire.StreamDecoder:
		e = c.readDecoder(r)
	}
	if e == 0 && c.ctx.Err() == nil {
		return wire.CodeCritical // these three may not end (RFC 9114 §6.2.1, RFC 9204 §4.2)
	}
	return e
}

// maxControl bounds frames of the control stream; settings are a few dozen bytes.
const maxControl = 4 << 10

// readControl reads the control stream to its end.
func (c *conn) readControl(r *controlReader) wire.Code {
	for first := true; ; first = false {
		kind, err := r.varint()
		if err != nil {
			return 0
		}
		size, err := r.varint()
		if err != nil {
			return 0
		}
		if first != (kind == wire.FrameSettings) {
			if first {
				return wire.CodeNoSettings
			}
			return wire.CodeUnexpected
		}
		if size > maxControl {
			return wire.CodeLoad
		}
		p, err := r.bytes(int(size))
		if err != nil {
			return 0
		}
		if e := c.controlFrame(kind, p); e != 0 {
			return e
		}
	}
}

func (c *conn) controlFrame(kind uint64, p []byte) wire.Code {
	if !c.budget.Spend(multi.CostFrame) {
		return wire.CodeLoad
	}
	switch {
	case kind == wire.FrameSettings:
		return checkSettings(p)
	case kind == wire.FrameGoAway, kind == wire.FrameMaxPush, kind == wire.FrameCancel:
		// What the client says of pushes matters to who pushes only; all of the
		// three hold one integer.
		if _, n := wire.Varint(p); n == 0 || n != len(p) {
			return wire.CodeFrame
		}
		if kind == wire.FrameCancel { // nothing was promised (RFC 9114 §7.2.3)
			return wire.CodeID
		}
	case kind == wire.FrameData, kind == wire.FrameHeaders, kind == wire.FramePush, wire.Foreign(kind):
		return wire.CodeUnexpected
	}
	return 0
}

// checkSettings looks whether settings are well formed (RFC 9114 §7.2.4); none
// of them changes what we send.
func checkSettings(p []byte) wire.Code {
	var seen []uint64
	for len(p) > 0 {
		id, n := wire.Varint(p)
		v, m := wire.Varint(p[n:])
		if n == 0 || m == 0 {
			return wire.CodeFrame
		}
		p = p[n+m:]
		for _, s := range seen {
			if s == id {
				return wire.CodeSettings
			}
		}
		if len(seen) >= 64 {
			return wire.CodeLoad
		}
		seen = append(seen, id)
		if id >= 2 && id <= 5 || id == wire.SettingExtended && v > 1 { // HTTP/2's (RFC 9114 §7.2.4.1)
			return wire.CodeSettings
		}
	}
	return 0
}

// readEncoder reads what the client's encoder says: with a table of capacity 0 it
// has nothing to say but that capacity (RFC 9204 §4.3.1).
func (c *conn) readEncoder(r *controlReader) wire.Code {
	for {
		b, err := r.byte()
		if err != nil {
			return 0
		}
		if b != 0x20 {
			return wire.CodeEncoderStream
		}
		if !c.budget.Spend(multi.CostFrame) {
			return wire.CodeLoad
		}
	}
}

// readDecoder reads what the client's decoder says: streams that were cancelled
// are all it may tell of where no table is used (RFC 9204 §4.4).
func (c *conn) readDecoder(r *controlReader) wire.Code {
	for {
		b, err := r.byte()
		if err != nil {
			return 0
		}
		if b&0xc0 != 0x40 {
			return wire.CodeDecoderStream
		}
		for more, n := b&0x3f == 0x3f, 0; more; n++ {
			b, err := r.byte()
			if err != nil {
				return 0
			}
			if more = b&0x80 != 0; n > 8 {
				return wire.CodeDecoderStream
			}
		}
		if !c.budget.Spend(multi.CostFrame) {
			return wire.CodeLoad
		}
	}
}

// controlReader reads one of the client's streams of one direction.
type controlReader struct {
	q    *quic.ReceiveStream
	buf  [64]byte
	r, w int
}

func (r *controlReader) byte() (byte, error) {
	if r.r == r.w {
		n, err := r.q.Read(r.buf[:])
		if n == 0 {
			if err == nil {
				err = io.ErrNoProgress
			}
			return 0, err
		}
		r.r, r.w = 0, n
	}
	r.r++
	return r.buf[r.r-1], nil
}

var errLong = errors.New("http3: integer too long")

func (r *controlReader) varint() (uint64, error) {
	var b [8]byte
	for n := range b {
		c, err := r.byte()
		if err != nil {
			return 0, err
		}
		b[n] = c
		if v, k := wire.Varint(b[:n+1]); k > 0 {
			return v, nil
		}
	}
	return 0, errLong
}

func (r *controlReader) bytes(n int) ([]byte, error) {
	p := make([]byte, n)
	for i := range p {
		b, err := r.byte()
		if err != nil {
			return nil, err
		}
		p[i] = b
	}
	return p, nil
}
