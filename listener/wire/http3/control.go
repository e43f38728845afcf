package http3

import (
	"errors"
	"io"
	"sync"
)

// Peer reads what the other side says beside requests and answers: its control
// stream and QPACK's two (RFC 9114 §6.2, RFC 9204 §4.2). Its streams may be read
// side by side.
type Peer struct {
	// Server tells that the other side is the server.
	Server bool
	// Spend is called for each frame of the control stream and each instruction of
	// QPACK's, with the type of its stream; false: that was one too many.
	Spend func(stream uint64) bool
	// Settings takes the settings in, once; nil: they matter to nobody.
	Settings func(Settings)
	// GoAway is told that nothing from id on will be served; nil: nobody is.
	GoAway func(id uint64)

	mu   sync.Mutex
	seen [StreamDecoder + 1]bool

	// Of who reads the control stream:
	last   uint64 // id of the last GOAWAY, plus one; 0: there was none
	pushes uint64 // pushes that are allowed
}

// ErrForeign tells that a stream is of a type that means nothing here: what it
// holds is not wanted (RFC 9114 §6.2.3).
var ErrForeign = errors.New("http3: a stream of an unknown type")

// maxControl bounds frames of the control stream; settings are a few dozen bytes.
const maxControl = 4 << 10

// Listen reads one stream of one direction until it ends. It gives the connection's
// error, 0 for none, and why the stream could not be read on: nil if it ended before
// it had a type. One that has a type may not end while the connection is there
// (CodeCritical).
func (p *Peer) Listen(from io.Reader) (e Code, err error) {
	r := &reader{from: from}
	kind, err := r.varint()
	if err != nil {
		return 0, nil //nolint:nilerr // it ended before it had begun (RFC 9114 §6.2)
	}
	switch {
	case kind == StreamPush && p.Server: // we have allowed none (RFC 9114 §4.6)
		return CodeID, nil
	case kind == StreamPush: // only servers push (RFC 9114 §6.2.2)
		return CodeCreation, nil
	case kind >= uint64(len(p.seen)):
		return 0, ErrForeign
	}
	p.mu.Lock()
	twice := p.seen[kind]
	p.seen[kind] = true
	p.mu.Unlock()
	switch {
	case twice:
		return CodeCreation, nil
	case kind == StreamControl:
		return p.control(r)
	case kind == StreamEncoder:
		return p.encoder(r)
	}
	return p.decoder(r)
}

// control reads the control stream.
func (p *Peer) control(r *reader) (Code, error) {
	for first := true; ; first = false {
		kind, err := r.varint()
		if err != nil {
			return 0, err
		}
		size, err := r.varint()
		switch {
		case err != nil:
			return 0, err
		case first && kind != FrameSettings:
			return CodeNoSettings, nil
		case !first && kind == FrameSettings:
			return CodeUnexpected, nil
		case size > maxControl:
			return CodeLoad, nil
		}
		b, err := r.bytes(int(size))
		if err != nil {
			return 0, err
		}
		if !p.Spend(StreamControl) {
			return CodeLoad, nil
		}
		if e := p.frame(kind, b); e != 0 {
			return e, nil
		}
	}
}

func (p *Peer) frame(kind uint64, b []byte) Code {
	switch {
	case kind == FrameSettings:
		s, e := ParseSettings(b)
		if e == 0 && p.Settings != nil {
			p.Settings(s)
		}
		return e
	case kind == FrameMaxPush && p.Server, kind == FrameData, kind == FrameHeaders, kind == FramePush, Foreign(kind):
		return CodeUnexpected
	case kind == FrameGoAway, kind == FrameMaxPush, kind == FrameCancel:
		if id, n := Varint(b); n > 0 && n == len(b) {
			return p.named(kind, id)
		}
		return CodeFrame
	}
	return 0 // it means nothing (RFC 9114 §9)
}

// named takes in a frame that holds one integer.
func (p *Peer) named(kind, id uint64) Code {
	switch kind {
	case FrameCancel: // of a push that nobody has promised (RFC 9114 §7.2.3)
		return CodeID
	case FrameMaxPush: // it may grow only (RFC 9114 §7.2.7)
		if id < p.pushes {
			return CodeID
		}
		p.pushes = id
		return 0
	}
	if p.last > 0 && id >= p.last || p.Server && id%4 != 0 { // RFC 9114 §5.2
		return CodeID
	}
	p.last = id + 1
	if p.GoAway != nil {
		p.GoAway(id)
	}
	return 0
}

// encoder reads what the other side's encoder says: with a table of capacity 0 it
// has nothing to say but that capacity (RFC 9204 §4.3.1).
func (p *Peer) encoder(r *reader) (Code, error) {
	for {
		b, err := r.byte()
		switch {
		case err != nil:
			return 0, err
		case b != 0x20:
			return CodeEncoderStream, nil
		case !p.Spend(StreamEncoder):
			return CodeLoad, nil
		}
	}
}

// decoder reads what the other side's decoder says: streams that were cancelled are
// all it may tell of where no table is used (RFC 9204 §4.4).
func (p *Peer) decoder(r *reader) (Code, error) {
	for {
		b, err := r.byte()
		if err != nil {
			return 0, err
		}
		if b&0xc0 != 0x40 {
			return CodeDecoderStream, nil
		}
		for more, n := b&0x3f == 0x3f, 0; more; n++ {
			if b, err = r.byte(); err != nil {
				return 0, err
			}
			if more = b&0x80 != 0; n > 8 {
				return CodeDecoderStream, nil
			}
		}
		if !p.Spend(StreamDecoder) {
			return CodeLoad, nil
		}
	}
}
