package lint

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
)

// request is a made-up request, or a stream in a tcp site, without header
// fields, cookies and parameters but those it was given.
type request struct {
	stream bool
	scheme string
	method string
	host   string
	port   uint16
	path   string
	query  string
	client netip.Addr
	sni    string
	alpn   string

	fields, cookies [][2]string

	pathLost, hostLost bool // rewritten to what cannot be foreseen
}

// The addresses of made-up clients (RFC 5737 §3).
var someClient = netip.MustParseAddr("192.0.2.1")

// requestTo makes a plain request to an address of a site.
func requestTo(s *config.Site, a *config.Address) request {
	r := request{stream: s.TCP, scheme: a.Scheme, method: "GET", host: a.Host, port: a.Port, path: "/", client: someClient}
	if s.TCP {
		if r.host = ""; a.TLS {
			r.sni = a.Host
		}
		return r
	}
	switch {
	case strings.HasPrefix(r.host, "*."):
		r.host = "x" + r.host[1:]
	case r.host == "":
		r.host = "localhost"
	}
	return r
}

// String writes it as a user would ask for it.
func (r *request) String() string {
	var b strings.Builder
	if r.stream {
		fmt.Fprintf(&b, "a stream to port %d", r.port)
		if r.sni != "" {
			fmt.Fprintf(&b, " with the server name %s", r.sni)
		}
		if r.alpn != "" {
			fmt.Fprintf(&b, " with ALPN %s", r.alpn)
		}
	} else {
		fmt.Fprintf(&b, "%s %s://%s", r.method, r.scheme, r.host)
		if r.port != 0 && (r.scheme != "http" || r.port != 80) && (r.scheme != "https" || r.port != 443) {
			fmt.Fprintf(&b, ":%d", r.port)
		}
		b.WriteString(r.target())
		for _, f := range r.fields {
			fmt.Fprintf(&b, " with %s: %s", f[0], f[1])
		}
		for _, c := range r.cookies {
			fmt.Fprintf(&b, " with the cookie %s=%s", c[0], c[1])
		}
	}
	if r.client != someClient {
		fmt.Fprintf(&b, " from %s", r.client)
	}
	return b.String()
}

func (r *request) target() string {
	if r.query != "" {
		return r.path + "?" + r.query
	}
	return r.path
}

// satisfy changes the request so that an expression becomes true, as well as it
// can; whether it did is for eval to say.
func (r *request) satisfy(e *config.Expr) {
	switch e.Op {
	case config.And:
		for i := range e.Kids {
			r.satisfy(&e.Kids[i])
		}
	case config.Or:
		r.satisfy(&e.Kids[0])
	case config.Not: // what is asked for elsewhere usually avoids it
	case config.Test:
		if len(e.Args) > 0 {
			r.satisfyTest(e)
		}
	}
}

func (r *request) satisfyTest(e *config.Expr) {
	text := e.Args[0].Text
	example := func(to *string, fold bool) {
		p := newPattern(text, fold)
		if s, ok := p.example(); ok {
			*to = s
		}
	}
	switch e.Word {
	case "host":
		example(&r.host, true)
	case "path":
		if example(&r.path, false); !strings.HasPrefix(r.path, "/") {
			r.path = "/" + r.path
		}
	case "url":
		var target string
		if example(&target, false); !strings.HasPrefix(target, "/") {
			target = "/" + target
		}
		r.path, r.query, _ = strings.Cut(target, "?")
	case "method":
		r.method = text
	case "query":
		r.query = text
	case "header", "cookie":
		value := "x"
		if len(e.Args) > 1 && e.Args[1].Text != "" {
			p := newPattern(e.Args[1].Text, false)
			value, _ = p.example()
		}
		if e.Word == "header" {
			r.fields = append(r.fields, [2]string{text, value})
		} else {
			r.cookies = append(r.cookies, [2]string{text, value})
		}
	case "client":
		if n, ok := network(text); ok {
			r.client = n.Addr()
		}
	case "sni":
		example(&r.sni, true)
	case "alpn":
		example(&r.alpn, false)
	}
}
