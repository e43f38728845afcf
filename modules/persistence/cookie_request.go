package persistence

import (
	"bytes"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Find looks through all cookies of the request. Of several with our name the
// first that names a known server which is up counts.
func (c *cookie) Find(x *flow.Exchange, v *Visit) *upstream.Server {
	r, h := &x.Record, &x.Req.Header
	r.CookieIn, r.CookieOut = 'N', 'N'
	var found *upstream.Server
	for i := range h.Len() {
		if h.IDAt(i) != flow.FieldCookie {
			continue
		}
		_, _, field, _ := h.At(i)
		ours := false
		for rest := field; len(rest) > 0; {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, semicolon)
			if value, is := c.valueOf(pair); is {
				ours = true
				found = c.judge(x, v, value, found)
			}
		}
		if ours {
			c.forward(x, i, field)
		}
	}
	v.direct = found != nil
	return found
}

var semicolon = []byte{';'}

// valueOf gives the value of a pair if its name is ours.
func (c *cookie) valueOf(pair []byte) (value []byte, ok bool) {
	name, value, ok := bytes.Cut(pair, equals)
	if !ok || !bytes.Equal(trimBlanks(name), c.name) {
		return nil, false
	}
	return trimBlanks(value), true
}

var equals = []byte{'='}

// trimBlanks cuts off what RFC 6265 §5.2 has cut off: blanks and tabs.
func trimBlanks(b []byte) []byte { return bytes.Trim(b, " \t") }

// judge weighs one cookie of our name, and notes the log's letter: V valid, D
// known but down, I unknown, E not seen for too long, O too old. What comes behind
// a valid one changes nothing but the dates, as with HAProxy.
func (c *cookie) judge(x *flow.Exchange, v *Visit, value []byte, before *upstream.Server) *upstream.Server {
	r := &x.Record
	id := c.idOf(value, v)
	now := int64(0)
	if v.last|v.first != 0 && c.maxIdle|c.maxLife != 0 {
		now = time.Now().Unix()
	}
	switch {
	case stale(v.first, c.maxLife, now):
		r.CookieIn, id, v.last, v.first = 'O', nil, 0, 0
	case stale(v.last, c.maxIdle, now):
		r.CookieIn, id, v.last, v.first = 'E', nil, 0, 0
	}
	if before == nil {
		r.ReqCookie = value
		s, known := c.server(id)
		switch {
		case s != nil:
			r.CookieIn = 'V'
			return s
		case known:
			r.CookieIn = 'D'
		}
	}
	if r.CookieIn == 'N' {
		r.CookieIn = 'I'
	}
	return before
}

// idOf gives what of a cookie's value names the server, and notes the dates
// behind it.
func (c *cookie) idOf(value []byte, v *Visit) []byte {
	if c.mode == prefix {
		id, _, _ := bytes.Cut(value, prefixBytes)
		return id
	}
	id, dates, ok := bytes.Cut(value, dateBytes)
	if !ok {
		return id
	}
	if d := parseDate(dates); d > 0 {
		v.last = d
	}
	if _, first, ok := bytes.Cut(dates, dateBytes); ok {
		if d := parseDate(first); d > 0 {
			v.first = d
		}
	}
	return id
}

var prefixBytes, dateBytes = []byte{prefixEnd}, []byte{dateEnd}

// server gives the first server of that value that is up.
func (c *cookie) server(value []byte) (s *upstream.Server, known bool) {
	if len(value) == 0 {
		return nil, false
	}
	all := c.byValue[string(value)]
	for _, s := range all {
		if s.Up() {
			return s, true
		}
	}
	return nil, len(all) > 0
}

// forward changes field i, whose value is given, to what the server shall see.
func (c *cookie) forward(x *flow.Exchange, i int, field []byte) {
	if c.mode == rewrite || c.mode == insert && !c.indirect {
		return
	}
	h := &x.Req.Header
	out, gap := x.Scratch[:0], false
	for rest := field; len(rest) > 0; {
		var pair []byte
		pair, rest, _ = bytes.Cut(rest, semicolon)
		value, ours := c.valueOf(pair)
		if ours && c.mode == insert {
			gap = true
			continue
		}
		switch {
		case len(out) == 0:
			pair = bytes.TrimLeft(pair, " \t")
		case gap: // where one was cut out, a blank stands, whatever stood there
			out = append(out, ';', ' ')
			pair = bytes.TrimLeft(pair, " \t")
		default:
			out = append(out, ';')
		}
		gap = false
		_, own, cut := bytes.Cut(value, prefixBytes)
		if !ours || !cut {
			out = append(out, pair...)
			continue
		}
		out = append(out, pair[:bytes.IndexByte(pair, '=')+1]...)
		out = append(out, own...)
	}
	x.Scratch = out
	if out = trimBlanks(out); len(out) == 0 {
		h.DelAt(i)
	} else {
		h.SetBytesAt(i, out)
	}
}
