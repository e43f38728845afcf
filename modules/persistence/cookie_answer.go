package persistence

import (
	"bytes"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Bind sets the cookie when the client did not come with the one of the server
// that answers, or when the dates in it need to be renewed. The log's letter
// tells what became of the cookie: I inserted, U its date updated, P the
// server's own, R the server's own with our value, D the server's own deleted.
func (c *cookie) Bind(x *flow.Exchange, v *Visit, s *upstream.Server) {
	h := &x.Resp.Header
	stays := c.fromServer(x, s)
	if c.mode != insert || stays || c.postOnly && x.Req.Method != "POST" {
		return
	}
	now := int64(0)
	if c.maxIdle|c.maxLife|v.last|v.first != 0 {
		now = time.Now().Unix()
	}
	if v.direct && !c.outdated(v, now) {
		return
	}
	x.Scratch = c.appendLine(x.Scratch[:0], s, v, now)
	h.AddBytes(setCookie, x.Scratch)
	if x.Record.CookieOut = 'I'; v.direct && c.values[s.Index] != "" {
		x.Record.CookieOut = 'U'
	}
	if c.nocache && cacheable(x) {
		h.Add("Cache-Control", "private")
	}
}

var setCookie = []byte("Set-Cookie")

// outdated reports whether the dates in the client's cookie are not what they
// should be: the last one past, one missing, or one that is not wanted any more.
func (c *cookie) outdated(v *Visit, now int64) bool {
	return (c.maxIdle != 0 || v.last != 0) && v.last < now ||
		(c.maxLife != 0) != (v.first != 0)
}

// appendLine appends the value of Set-Cookie. For a server without a value it
// deletes the client's cookie: it would lead back to another server.
func (c *cookie) appendLine(b []byte, s *upstream.Server, v *Visit, now int64) []byte {
	b = append(b, c.lead...)
	value := c.values[s.Index]
	if value == "" {
		b = append(b, "; Expires=Thu, 01-Jan-1970 00:00:01 GMT"...)
		return append(b, c.tail...)
	}
	b = append(b, value...)
	if c.maxIdle != 0 || c.maxLife != 0 {
		b = appendDate(append(b, dateEnd), unitsOf(now))
	}
	if c.maxLife != 0 {
		first := v.first >> dateUnit
		if first == 0 {
			first = unitsOf(now)
		}
		b = appendDate(append(b, dateEnd), first)
	}
	return append(b, c.tail...)
}

// fromServer deals with a cookie of our name that the server sets itself: it is
// deleted in insert mode, unless with preserve it is the one that stays, and
// gets our value in the other modes.
func (c *cookie) fromServer(x *flow.Exchange, s *upstream.Server) (stays bool) {
	r, h := &x.Record, &x.Resp.Header
	ours := c.values[s.Index]
	for i := range h.Len() {
		if h.IDAt(i) != flow.FieldSetCookie {
			continue
		}
		_, _, field, _ := h.At(i)
		pair, _, _ := bytes.Cut(field, semicolon)
		value, is := c.valueOf(pair)
		if !is {
			continue
		}
		r.RespCookie = value
		switch {
		case c.preserve:
			r.CookieOut, stays = 'P', true
		case c.mode == insert:
			h.DelAt(i)
			r.CookieOut = 'D'
		case ours == "":
			r.CookieOut = 'P'
		default:
			c.put(x, i, ours)
			r.CookieOut = 'R'
		}
	}
	return stays
}

// put writes the server's value into field i of the answer: in the place of the
// value there, or before it.
func (c *cookie) put(x *flow.Exchange, i int, ours string) {
	h := &x.Resp.Header
	_, _, field, _ := h.At(i)
	start := bytes.IndexByte(field, '=') + 1
	for start < len(field) && (field[start] == ' ' || field[start] == '\t') {
		start++
	}
	end := len(field)
	if n := bytes.IndexByte(field[start:], ';'); n >= 0 {
		end = start + n
	}
	for end > start && (field[end-1] == ' ' || field[end-1] == '\t') {
		end--
	}
	x.Scratch = append(x.Scratch[:0], field[:start]...)
	x.Scratch = append(x.Scratch, ours...)
	if c.mode == prefix {
		x.Scratch = append(x.Scratch, prefixEnd)
		x.Scratch = append(x.Scratch, field[start:end]...)
	}
	x.Scratch = append(x.Scratch, field[end:]...)
	h.SetBytesAt(i, x.Scratch)
}

// cacheable tells whether a cache might keep the answer: to GET or HEAD, with a
// freshness, a validator or `public`, and nothing that forbids it.
func cacheable(x *flow.Exchange) bool {
	h := &x.Resp.Header
	if m := x.Req.Method; m != "GET" && m != "HEAD" {
		return false
	}
	ok := h.HasID(flow.FieldExpires) || h.HasID(flow.FieldETag) || h.HasID(flow.FieldLastModified)
	for i := range h.Len() {
		if h.IDAt(i) != flow.FieldCacheControl {
			continue
		}
		_, _, rest, _ := h.At(i)
		for len(rest) > 0 {
			var word []byte
			word, rest, _ = bytes.Cut(rest, comma)
			word, _, _ = bytes.Cut(bytes.TrimSpace(word), equals)
			switch {
			case flow.EqualFold(word, "private"), flow.EqualFold(word, "no-cache"), flow.EqualFold(word, "no-store"):
				return false
			case flow.EqualFold(word, "public"), flow.EqualFold(word, "max-age"), flow.EqualFold(word, "s-maxage"):
				ok = true
			}
		}
	}
	return ok
}

var comma = []byte{','}
