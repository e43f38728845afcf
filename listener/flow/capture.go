package flow

import "bytes"

// Place says where a captured value stands.
type Place uint8

// The places.
const (
	RequestHeader Place = iota
	RequestCookie
	ResponseHeader
	ResponseCookie
)

// Response reports whether the place is in the answer.
func (p Place) Response() bool { return p >= ResponseHeader }

// Capture is one value to be kept for the logs.
type Capture struct {
	Place Place
	Name  string
	Max   int // bytes kept of it
}

// Captures is what a site keeps of each exchange's headers for its logs. It is
// shared and not changed any more.
type Captures struct {
	// Request and Response are those that the site declares. They stand in the
	// braces of httplog, in this order.
	Request, Response []Capture
	// Fields are those that formats ask for, of both sides.
	Fields []Capture
	// Cookie is the cookie whose name and value stand in httplog's cookie
	// columns; a zero Max: none is declared.
	Cookie Capture
	// Hide names query parameters whose values are masked wherever a URL is logged.
	Hide []string
}

// Capture keeps what c names of the request, as it came in: before any
// directive has changed it. Start does the same with the answer, as the server
// gave it. The values are copied; nil asks for nothing.
func (x *Exchange) Capture(c *Captures) {
	r := &x.Record
	if r.Captures = c; c == nil {
		return
	}
	r.URI = r.hideIn(r.URI)
	for i := range c.Request {
		r.ReqCaptures = append(r.ReqCaptures, r.keep(&x.Req.Header, &c.Request[i]))
	}
	for range c.Response {
		r.RespCaptures = append(r.RespCaptures, nil)
	}
	for i := range c.Fields {
		var v []byte
		if f := &c.Fields[i]; !f.Place.Response() {
			v = r.keep(&x.Req.Header, f)
		}
		r.Fields = append(r.Fields, v)
	}
	if c.Cookie.Max > 0 {
		r.cookieIn = r.cookie(&x.Req.Header, FieldCookie, c.Cookie.Name, c.Cookie.Max)
	}
}

// captureAnswer keeps what was asked for of the answer.
func (x *Exchange) captureAnswer() {
	r := &x.Record
	c := r.Captures
	for i := range c.Response {
		r.RespCaptures[i] = r.keep(&x.Resp.Header, &c.Response[i])
	}
	for i := range c.Fields {
		if f := &c.Fields[i]; f.Place.Response() {
			r.Fields[i] = r.keep(&x.Resp.Header, f)
		}
	}
	if c.Cookie.Max > 0 {
		r.cookieOut = r.cookie(&x.Resp.Header, FieldSetCookie, c.Cookie.Name, c.Cookie.Max)
	}
}

// Cookies gives what stands in httplog's cookie columns: of a site that captures a
// cookie that one with its name, else the one that decided about the server.
func (r *Record) Cookies() (req, resp []byte) {
	if r.Captures != nil && r.Captures.Cookie.Max > 0 {
		return r.cookieIn, r.cookieOut
	}
	return r.ReqCookie, r.RespCookie
}

// keep copies one value. Of several fields with a name the last one counts, as in
// HAProxy (configuration manual, "capture request header").
func (r *Record) keep(h *Header, c *Capture) []byte {
	switch c.Place {
	case RequestCookie, ResponseCookie:
		id := FieldCookie
		if c.Place.Response() {
			id = FieldSetCookie
		}
		pair := r.cookie(h, id, c.Name, len(c.Name)+1+c.Max)
		if pair == nil {
			return nil
		}
		return pair[len(c.Name)+1:]
	case RequestHeader, ResponseHeader:
	}
	id := Lookup(c.Name)
	for i := h.Len() - 1; i >= 0; i-- {
		if h.IDAt(i) != id {
			continue
		}
		if _, name, v, ok := h.At(i); ok && (id != Unknown || EqualFold(name, c.Name)) {
			if id == FieldReferer || id == FieldLocation {
				v = r.hideIn(v)
			}
			return r.own(v[:min(len(v), c.Max)])
		}
	}
	return nil
}

// cookie copies name=value of the first cookie of that name.
func (r *Record) cookie(h *Header, id ID, want string, limit int) []byte {
	for i := range h.Len() {
		if h.IDAt(i) != id {
			continue
		}
		_, _, field, _ := h.At(i)
		if id == FieldSetCookie { // its attributes are no cookies
			field, _, _ = bytes.Cut(field, semicolon)
		}
		name, value, rest, ok := NextCookie(field)
		for ; ok; name, value, rest, ok = NextCookie(rest) {
			if string(name) != want {
				continue
			}
			n := len(r.owned)
			r.owned = append(append(append(r.owned, name...), '='), value...)
			return r.owned[n:min(len(r.owned), n+limit):len(r.owned)]
		}
	}
	return nil
}

var semicolon = []byte{';'}

// Mask stands for the value of a hidden parameter.
const Mask = "***"

// AppendHidden appends a URL, or a part of one from its path on, with the values
// of those query parameters masked whose name is among hide, whatever its case.
func AppendHidden(dst, url []byte, hide []string) []byte {
	i := bytes.IndexByte(url, '?')
	if i < 0 || len(hide) == 0 {
		return append(dst, url...)
	}
	return AppendHiddenQuery(append(dst, url[:i+1]...), url[i+1:], hide)
}

// AppendHiddenQuery is AppendHidden for a query alone.
func AppendHiddenQuery(dst, query []byte, hide []string) []byte {
	for {
		p, rest := query, []byte(nil)
		end := bytes.IndexByte(query, '&')
		if end >= 0 {
			p, rest = query[:end], query[end+1:]
		}
		if eq := bytes.IndexByte(p, '='); eq >= 0 && hidden(p[:eq], hide) {
			dst = append(append(dst, p[:eq+1]...), Mask...)
		} else {
			dst = append(dst, p...)
		}
		if end < 0 {
			return dst
		}
		dst, query = append(dst, '&'), rest
	}
}

func hidden(name []byte, hide []string) bool {
	for _, h := range hide {
		if len(name) < len(h) {
			continue
		}
		n := 0
		for i := 0; i < len(name); i++ {
			c := name[i]
			if c == '%' && i+2 < len(name) && isHex(name[i+1]) && isHex(name[i+2]) {
				c = unhex(name[i+1])<<4 | unhex(name[i+2])
				i += 2
			}
			if n >= len(h) || lower(h[n]) != lower(c) {
				n = -1
				break
			}
			n++
		}
		if n == len(h) {
			return true
		}
	}
	return false
}

// hideIn masks the query of a value; one that has nothing to hide stays borrowed.
func (r *Record) hideIn(url []byte) []byte {
	hide := r.Captures.Hide
	if i := bytes.IndexByte(url, '?'); i < 0 || len(hide) == 0 || bytes.IndexByte(url[i:], '=') < 0 {
		return url
	}
	n := len(r.owned)
	r.owned = AppendHidden(r.owned, url, hide)
	return r.owned[n:len(r.owned):len(r.owned)]
}
