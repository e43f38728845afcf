package explain

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/modules/graph"
)

// Question is a request that is not sent.
type Question struct {
	Method string // "": GET
	URL    string // http, https or tcp
	Header [][2]string
	From   netip.Addr // the zero Addr: someClient
	SNI    string     // "": the URL's host
}

// someClient asks where nobody is named (RFC 5737 §3).
var someClient = netip.MustParseAddr("192.0.2.1")

// target is a URL, taken apart.
type target struct {
	scheme string
	host   string // without port and brackets, as written
	port   uint16
	uri    string // path and query
	auth   string // host and port as a Host field has them
}

func readTarget(q *Question) (*target, error) {
	u, err := url.Parse(q.URL)
	if err != nil {
		return nil, fmt.Errorf("%q is no URL: %w", q.URL, err)
	}
	t := &target{scheme: strings.ToLower(u.Scheme), host: u.Hostname(), uri: u.EscapedPath(), auth: u.Host}
	ports := map[string]string{"http": "80", "https": "443", "tcp": "", "tls": ""}
	port, known := ports[t.scheme]
	if !known || u.Host == "" {
		return nil, fmt.Errorf("%q is no URL to ask for: write http://HOST/PATH, https://HOST/PATH, tcp://:PORT or tls://HOST:PORT", q.URL)
	}
	if u.Port() != "" {
		port = u.Port()
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return nil, fmt.Errorf("%q needs a port", q.URL)
	}
	t.port = uint16(n)
	if u.RawQuery != "" || u.ForceQuery {
		t.uri += "?" + u.RawQuery
	}
	if u.Path == "" {
		t.uri = "/" + t.uri
	}
	if q.Method == "" {
		q.Method = "GET"
	}
	if !q.From.IsValid() {
		q.From = someClient
	}
	for _, h := range q.Header {
		if h[0] == "" || strings.ContainsAny(h[0]+h[1], "\r\n") {
			return nil, fmt.Errorf("%q is no header field: write 'Name: value'", h[0]+": "+h[1])
		}
		if strings.EqualFold(h[0], "host") {
			t.auth = h[1]
		}
	}
	if q.SNI == "" && t.encrypted() {
		if _, err := netip.ParseAddr(t.host); err != nil {
			q.SNI = t.host
		}
	}
	q.SNI = strings.ToLower(q.SNI)
	return t, nil
}

// web reports whether the client speaks HTTP, as far as is known.
func (t *target) web() bool { return t.scheme == "http" || t.scheme == "https" }

// encrypted reports whether the client begins with TLS.
func (t *target) encrypted() bool { return t.scheme == "https" || t.scheme == "tls" }

func (t *target) place() string {
	if ip, err := netip.ParseAddr(t.host); err == nil {
		return net.JoinHostPort(ip.String(), strconv.Itoa(int(t.port)))
	}
	return fmt.Sprintf("port %d", t.port)
}

func (t *target) describe(q *Question) string {
	if t.web() {
		return q.Method + " " + q.URL
	}
	if q.SNI != "" {
		return q.URL + " with the server name " + q.SNI
	}
	return q.URL
}

// listener finds the socket: the one at the URL's address, else the one at all
// addresses, else any at the port.
func (e *Explainer) listener(t *target) *graph.Listener {
	ip, err := netip.ParseAddr(t.host)
	var wide, some *graph.Listener
	for _, l := range e.graph.Listeners {
		host, port, bad := net.SplitHostPort(l.Address)
		if l.Network != "tcp" || bad != nil || port != strconv.Itoa(int(t.port)) {
			continue
		}
		bound, bad := netip.ParseAddr(host)
		switch {
		case bad != nil || bound.IsUnspecified():
			wide = l
		case err == nil && bound == ip:
			return l
		case some == nil:
			some = l
		}
	}
	if wide == nil && err != nil {
		return some
	}
	return wide
}

// head writes the request as a client would send it.
func (t *target) head(q *Question) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", q.Method, t.uri, t.auth)
	for _, h := range q.Header {
		if !strings.EqualFold(h[0], "host") {
			fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
		}
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}
