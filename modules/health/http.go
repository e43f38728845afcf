package health

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

var httpModule = Module{
	Spec: spec.Word{
		Name: "http",
		Doc:  "The server is well if it answers a request as expected",
		Long: "Without arguments the request is `OPTIONS / HTTP/1.0`. With the option `host` it is sent as " +
			"HTTP/1.1 with that Host. One word alone is a path if it begins with `/` (the method is then GET), else a method. " +
			"Servers of `protocol h2`, `h2c` and `auto` are asked in HTTP/2, as exchanges ask them; at another `port` or `address` " +
			"that is so only where TLS agrees on it. Servers of `protocol h3` are asked by TCP.\n\n" +
			"Without `expect` the statuses 200–399 pass. Several `expect` must all hold, and then any status passes that none of " +
			"them speaks of. Of an answer at most 64 KiB are looked at.",
		Example: "health http GET /health expect 200-399",
		Args: []spec.Arg{
			{Name: "METHOD", Kind: spec.String, Optional: true, Doc: "the method (default: OPTIONS)"},
			{Name: "PATH", Kind: spec.String, Optional: true, Doc: "the path, with query (default: /)"},
		},
		Options: []spec.Word{
			httpExpectWord,
			{Name: "host", Doc: "the Host to ask for, with `tls` the server name (SNI) as well",
				Args: []spec.Arg{{Name: "NAME", Kind: spec.String, Doc: "a host name"}}},
			{Name: "header", Doc: "a header field to send", Repeat: true,
				Args: []spec.Arg{{Name: "NAME", Kind: spec.HeaderName, Doc: "its name"},
					{Name: "VALUE", Kind: spec.String, Doc: "its value"}}},
			{Name: "body", Doc: "a body to send; Content-Length is added",
				Args: []spec.Arg{{Name: "TEXT", Kind: spec.String, Doc: "the body, as it is"}}},
			tlsOption,
		},
	},
	New: newHTTP,
}

var tlsOption = spec.Word{Name: "tls", Doc: "speak TLS; the certificate is not judged"}

// httpProbe sends one request, made in advance, and reads no more of the answer
// than its expectations need.
type httpProbe struct {
	method  string
	request []byte      // in HTTP/1
	fields  [][2]string // in HTTP/2, behind the pseudo header
	path    string
	host    string // "": the server's address
	body    string
	expect  expectations
	tls     *tls.Config // nil: as the server is spoken to
}

func newHTTP(n *config.Node) (Probe, error) {
	method, path := n.Text(0), n.Text(1)
	if strings.HasPrefix(method, "/") && path == "" {
		method, path = "GET", method
	}
	if method == "" {
		method = "OPTIONS"
	}
	if path == "" {
		path = "/"
	}
	if !token(method) {
		return nil, fmt.Errorf("%q is no HTTP method", method)
	}
	if path != "*" && path[0] != '/' || !visible(path) {
		return nil, fmt.Errorf("%q is no path: it must begin with / and have no blanks or controls", path)
	}
	host := n.OptionText("host")
	p := &httpProbe{method: method, path: path, host: host, body: n.OptionText("body")}
	head := method + " " + path + " HTTP/1.0\r\n"
	if host != "" {
		if !visible(host) {
			return nil, fmt.Errorf("%q is no host", host)
		}
		head = method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n"
	}
	for _, o := range config.Find(n.Options, "header") {
		if !token(o.Text(0)) || strings.ContainsFunc(o.Text(1), control) {
			return nil, fmt.Errorf("header %q cannot be sent: a name of token characters and a value without controls is needed", o.Text(0))
		}
		head += o.Text(0) + ": " + o.Text(1) + "\r\n"
		p.field(strings.ToLower(o.Text(0)), strings.Trim(o.Text(1), " \t"))
	}
	if n.Has("body") {
		head += "Content-Length: " + strconv.Itoa(len(p.body)) + "\r\n"
		p.field("content-length", strconv.Itoa(len(p.body)))
	}
	p.request = []byte(head + "\r\n" + p.body)
	if n.Has("tls") {
		p.tls = tlsConfig(hostOnly(host))
	}
	var err error
	p.expect, err = newExpectations(n)
	return p, err
}

func (p *httpProbe) Probe(ctx context.Context, t *Target) (Result, error) {
	s, err := open(ctx, t)
	if err != nil {
		return connectFailed(ctx, err)
	}
	defer s.Close()
	h2, err := s.secureFor(ctx, t, p.tls)
	if err != nil {
		return answerFailed(ctx, "Layer6", err)
	}
	if h2 {
		return p.call(ctx, s, s.authority(p.host, t))
	}
	if _, err := s.Write(p.request); err != nil {
		return answerFailed(ctx, "Layer7", err)
	}
	line, err := s.line()
	if err != nil {
		return answerFailed(ctx, "Layer7", err)
	}
	code, reason, ok := parseStatus(line)
	if !ok {
		return failed("Layer7 invalid response", 0, line)
	}
	return p.judge(ctx, &plainAnswer{s}, code, reason)
}

// answer is what follows the status, in any version of HTTP. Its parts are asked for
// in order, and not at all where nothing is expected of them.
type answer interface {
	fields() (*head, error)
	content(h *head) ([]byte, error)
}

// plainAnswer is an answer of HTTP/1.
type plainAnswer struct{ s *session }

func (a *plainAnswer) fields() (*head, error)          { return readHead(a.s) }
func (a *plainAnswer) content(h *head) ([]byte, error) { return h.readBody(a.s.in) }

// judge compares an answer with what is expected of it.
func (p *httpProbe) judge(ctx context.Context, a answer, code int, reason string) (Result, error) {
	if !p.expect.status(code) {
		return failed("Layer7 wrong status", code, reason)
	}
	if p.expect.statusOnly() {
		return passed("Layer7 check passed", code, reason), nil
	}
	h, err := a.fields()
	if err != nil {
		return answerFailed(ctx, "Layer7", err)
	}
	if miss := p.expect.header(h); miss != "" {
		return failed("Layer7 invalid response", code, "expected header "+miss)
	}
	if len(p.expect.bodies) == 0 {
		return passed("Layer7 check passed", code, reason), nil
	}
	var body []byte
	if p.method != "HEAD" && code != 204 && code != 304 {
		if body, err = a.content(h); err != nil && err != io.ErrUnexpectedEOF {
			return answerFailed(ctx, "Layer7", err)
		}
	}
	if miss := p.expect.body(body); miss != "" {
		return failed("Layer7 invalid response", code, "did not match content "+miss)
	}
	return passed("Layer7 check passed", code, reason), nil
}

// parseStatus takes "HTTP/1.x NNN reason" apart (RFC 9112 §4); the reason may be
// missing, its blank too.
func parseStatus(line string) (code int, reason string, ok bool) {
	version, rest, _ := strings.Cut(line, " ")
	if len(version) != len("HTTP/1.1") || version[:7] != "HTTP/1." || version[7] < '0' || version[7] > '9' {
		return 0, "", false
	}
	digits, reason, _ := strings.Cut(rest, " ")
	code, err := strconv.Atoi(digits)
	if err != nil || len(digits) != 3 || code < 100 {
		return 0, "", false
	}
	return code, reason, true
}

// token tells whether s is one (RFC 9110 §5.6.2).
func token(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", c)
	})
}

func visible(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f })
}

func control(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }
