package persistence

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

var cookieModule = Module{
	Spec: spec.Word{
		Name: "cookie",
		Doc:  "By a cookie that names the server",
		Long: "In `insert` mode Loadstar sets the cookie itself, when the client has none that names the server which answers. " +
			"Each server says its value with its option `cookie`; a server without one gets no cookie.",
		Example: "persist cookie SERVERID insert indirect nocache",
		Args: []spec.Arg{
			{Name: "NAME", Kind: spec.String, Doc: "the cookie's name; case counts"},
		},
		Options: []spec.Word{
			{Name: "insert", Doc: "Loadstar sets the cookie"},
			{Name: "indirect", Doc: "servers do not see the cookie"},
			{Name: "nocache", Doc: "an answer that the cookie was added to and that looks cacheable gets `cache-control: private`"},
			{Name: "httponly", Doc: "scripts cannot read the cookie (RFC 6265 §4.1.2.6)"},
			{Name: "secure", Doc: "the cookie is sent over HTTPS only (RFC 6265 §4.1.2.5)"},
			{Name: "preserve", Doc: "a cookie of that name set by the server is left alone"},
			{Name: "domain", Doc: "a domain that the cookie is for", Repeat: true,
				Args: []spec.Arg{{Name: "DOMAIN", Kind: spec.String, Doc: "a domain name, often with a leading dot"}}},
		},
	},
	New: newCookie,
}

// cookie is insert mode, by the rules of HAProxy's `cookie NAME insert`.
type cookie struct {
	name                        []byte
	byValue                     map[string][]*upstream.Server
	lines                       map[*upstream.Server]string // the Set-Cookie value of each
	indirect, nocache, preserve bool
}

func newCookie(n *config.Node, servers []*upstream.Server) (Affinity, error) {
	name := n.Text(0)
	if !cookieToken(name) {
		return nil, fmt.Errorf("%q is no cookie name (RFC 6265 §4.1.1)", name)
	}
	tail := "; path=/"
	for _, o := range config.Find(n.Options, "domain") {
		if strings.ContainsFunc(o.Text(0), notCookieOctet) {
			return nil, fmt.Errorf("%q is no domain", o.Text(0))
		}
		tail += "; domain=" + o.Text(0)
	}
	if n.Has("httponly") {
		tail += "; HttpOnly"
	}
	if n.Has("secure") {
		tail += "; Secure"
	}
	c := &cookie{name: []byte(name), byValue: map[string][]*upstream.Server{}, lines: map[*upstream.Server]string{},
		indirect: n.Has("indirect"), nocache: n.Has("nocache"), preserve: n.Has("preserve")}
	for _, s := range servers {
		if strings.ContainsFunc(s.Cookie, notCookieOctet) {
			return nil, fmt.Errorf("server %s: %q cannot be a cookie value (RFC 6265 §4.1.1)", s.Name, s.Cookie)
		}
		if s.Cookie != "" {
			c.byValue[s.Cookie] = append(c.byValue[s.Cookie], s)
			c.lines[s] = name + "=" + s.Cookie + tail
		}
	}
	return c, nil
}

// Find looks through all cookies of the request. Of several with our name the
// first that names a known server counts.
func (c *cookie) Find(x *flow.Exchange) *upstream.Server {
	r, h := &x.Record, &x.Req.Header
	r.CookieIn = 'N'
	var found *upstream.Server
	for i := range h.Len() {
		id, _, value, ok := h.At(i)
		if !ok || id != flow.FieldCookie {
			continue
		}
		ours := false
		for rest := value; len(rest) > 0; {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, semicolon)
			v, is := c.valueOf(pair)
			if !is {
				continue
			}
			ours = true
			if found != nil || r.CookieIn == 'D' {
				continue
			}
			r.ReqCookie = v
			found, r.CookieIn = c.server(v)
		}
		if ours && c.indirect {
			if kept := c.without(value); kept == "" {
				h.DelAt(i)
			} else {
				h.SetAt(i, kept)
			}
		}
	}
	return found
}

var semicolon = []byte{';'}

// valueOf gives the value of a pair if its name is ours.
func (c *cookie) valueOf(pair []byte) (value []byte, ok bool) {
	name, value, ok := bytes.Cut(pair, []byte{'='})
	if !ok || !bytes.Equal(bytes.TrimSpace(name), c.name) {
		return nil, false
	}
	return bytes.TrimSpace(value), true
}

// server gives the first server of that value that is up, and the log's letter:
// V valid, D known but down, I unknown.
func (c *cookie) server(value []byte) (*upstream.Server, byte) {
	all := c.byValue[string(value)]
	if len(all) == 0 {
		return nil, 'I'
	}
	for _, s := range all {
		if s.Up() {
			return s, 'V'
		}
	}
	return nil, 'D'
}

// without gives a Cookie value with our pairs cut out, the others as they are.
func (c *cookie) without(value []byte) string {
	var out []byte
	for rest := value; len(rest) > 0; {
		var pair []byte
		pair, rest, _ = bytes.Cut(rest, semicolon)
		if _, ours := c.valueOf(pair); ours {
			continue
		}
		if len(out) > 0 {
			out = append(out, ';')
		} else {
			pair = bytes.TrimLeft(pair, " \t")
		}
		out = append(out, pair...)
	}
	return string(bytes.TrimSpace(out))
}

// Bind sets the cookie when the client did not come with the one of the server
// that answers.
func (c *cookie) Bind(x *flow.Exchange, s *upstream.Server) {
	r, h := &x.Record, &x.Resp.Header
	r.CookieOut = 'N'
	if c.fromServer(h, r) {
		return
	}
	if r.CookieIn == 'V' && string(r.ReqCookie) == s.Cookie {
		return
	}
	line, ok := c.lines[s]
	if !ok {
		return
	}
	h.Add("Set-Cookie", line)
	r.CookieOut = 'I'
	if c.nocache && cacheable(x) {
		h.Add("Cache-Control", "private")
	}
}

// fromServer deals with a cookie of our name that the server sets itself: it is
// deleted in insert mode, or with preserve it is the one that stays.
func (c *cookie) fromServer(h *flow.Header, r *flow.Record) (stays bool) {
	for i := range h.Len() {
		id, _, value, ok := h.At(i)
		if !ok || id != flow.FieldSetCookie {
			continue
		}
		pair, _, _ := bytes.Cut(value, semicolon)
		v, ours := c.valueOf(pair)
		if !ours {
			continue
		}
		r.RespCookie = v
		if c.preserve {
			r.CookieOut = 'P'
			return true
		}
		h.DelAt(i)
		r.CookieOut = 'D'
	}
	return false
}

// cacheable tells whether a cache might keep the answer: to GET or HEAD, with a
// freshness, a validator or `public`, and nothing that forbids it.
func cacheable(x *flow.Exchange) bool {
	h := &x.Resp.Header
	if m := x.Req.Method; m != "GET" && m != "HEAD" {
		return false
	}
	ok := h.HasID(flow.FieldExpires) || h.HasID(flow.FieldETag) || h.HasID(flow.FieldLastModified)
	for v := range h.Values("Cache-Control") {
		for rest := v; len(rest) > 0; {
			var word []byte
			word, rest, _ = bytes.Cut(rest, []byte{','})
			word, _, _ = bytes.Cut(bytes.TrimSpace(word), []byte{'='})
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

func cookieToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", c)
	})
}

// notCookieOctet tells what cannot stand in a cookie value (RFC 6265 §4.1.1).
func notCookieOctet(c rune) bool {
	return c <= ' ' || c >= 0x7f || strings.ContainsRune("\",;\\", c)
}
