package health

import (
	"context"
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
		Doc:  "The server is well if it answers a request with an expected status",
		Long: "Without arguments the request is `OPTIONS / HTTP/1.0`. With the option `host` it is sent as " +
			"HTTP/1.1 with that Host. One word alone is a path if it begins with `/` (the method is then GET), else a method.",
		Example: "health http GET /health expect 200-399",
		Args: []spec.Arg{
			{Name: "METHOD", Kind: spec.String, Optional: true, Doc: "the method (default: OPTIONS)"},
			{Name: "PATH", Kind: spec.String, Optional: true, Doc: "the path, with query (default: /)"},
		},
		Options: []spec.Word{
			{Name: "expect", Doc: "the statuses that pass", Default: "200-399",
				Args: []spec.Arg{{Name: "STATUS", Kind: spec.Statuses, Doc: "200, 200-399 or 2xx", Variadic: true}}},
			{Name: "host", Doc: "the Host to ask for",
				Args: []spec.Arg{{Name: "NAME", Kind: spec.String, Doc: "a host name"}}},
			{Name: "header", Doc: "a header field to send", Repeat: true,
				Args: []spec.Arg{{Name: "NAME", Kind: spec.HeaderName, Doc: "its name"},
					{Name: "VALUE", Kind: spec.String, Doc: "its value"}}},
		},
	},
	New: newHTTP,
}

// httpProbe sends one request, made in advance, and reads no more than the
// answer's status line.
type httpProbe struct {
	request []byte
	expect  []span
}

type span struct{ from, to int }

// maxStatusLine bounds what is read of an answer: a status line with a reason
// longer than any in use.
const maxStatusLine = 1024

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
	p := &httpProbe{}
	head := method + " " + path + " HTTP/1.0\r\n"
	if host := n.OptionText("host"); host != "" {
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
	}
	p.request = []byte(head + "\r\n")
	if o := n.Option("expect"); o != nil {
		for _, s := range o.Texts(0) {
			r, err := statuses(s)
			if err != nil {
				return nil, err
			}
			p.expect = append(p.expect, r)
		}
	}
	return p, nil
}

func (p *httpProbe) Probe(ctx context.Context, t *Target) (Result, error) {
	c, err := dial(ctx, t)
	if err != nil {
		return connectFailed(ctx, err)
	}
	defer c.Close()
	// The deadline bounds it; cancelling, at a reload or the end, cuts it.
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if _, err := c.Write(p.request); err != nil {
		return answerFailed(ctx, "Layer7", err)
	}
	var buf [maxStatusLine]byte
	line, err := statusLine(c, buf[:])
	if err != nil {
		return answerFailed(ctx, "Layer7", err)
	}
	code, reason, ok := parseStatus(line)
	if !ok {
		return failed("Layer7 invalid response", 0, line)
	}
	for _, s := range p.expect {
		if s.from <= code && code <= s.to {
			return passed("Layer7 check passed", code, reason), nil
		}
	}
	return failed("Layer7 wrong status", code, reason)
}

// statusLine reads up to the first line feed, len(buf) bytes at most.
func statusLine(r io.Reader, buf []byte) (string, error) {
	n := 0
	for n < len(buf) {
		k, err := r.Read(buf[n:])
		if i := strings.IndexByte(string(buf[n:n+k]), '\n'); i >= 0 {
			return strings.TrimSuffix(string(buf[:n+i]), "\r"), nil
		}
		n += k
		if err == io.EOF && n == 0 {
			return "", io.ErrUnexpectedEOF
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
	}
	return string(buf[:n]), nil // no line: parseStatus decides by what there is
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

// statuses takes 200, 200-399 or 2xx apart.
func statuses(s string) (span, error) {
	from, to, ok := strings.Cut(s, "-")
	if !ok {
		from, to = strings.ReplaceAll(s, "x", "0"), strings.ReplaceAll(s, "x", "9")
	}
	a, err1 := strconv.Atoi(from)
	b, err2 := strconv.Atoi(to)
	if err1 != nil || err2 != nil || a < 100 || b > 999 || a > b {
		return span{}, fmt.Errorf("%q names no statuses: write 200, 200-399 or 2xx", s)
	}
	return span{a, b}, nil
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
