package httplog

import (
	"crypto/tls"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// hole is one placeholder: exactly one of its functions is there.
type hole struct {
	spec.Placeholder
	view    func(r *flow.Record) []byte             // bytes that the record has
	number  func(dst []byte, r *flow.Record) []byte // digits, addresses, dates: nothing to escape
	fill    func(dst []byte, r *flow.Record, arg string) []byte
	capture func(arg string) flow.Capture // a value of a header
}

// Placeholders gives those that only logs have.
func Placeholders() []spec.Placeholder {
	var out []spec.Placeholder
	for i := range holes {
		if holes[i].Log {
			out = append(out, holes[i].Placeholder)
		}
	}
	return out
}

// Known tells whether a log can fill in a placeholder of other templates.
func Known(p spec.Placeholder) bool {
	for i := range holes {
		if h := &holes[i]; h.Name == p.Name && (h.HTTP || !p.HTTP) {
			return true
		}
	}
	return false
}

type bytesFunc = func(r *flow.Record) []byte
type numberFunc = func(b []byte, r *flow.Record) []byte

func view(name string, f bytesFunc) hole {
	return hole{Placeholder: spec.Placeholder{Name: name}, view: f}
}

func short(name string, f numberFunc) hole {
	return hole{Placeholder: spec.Placeholder{Name: name}, number: f}
}

func http(h hole) hole { h.HTTP = true; return h }

func logged(doc string, h hole) hole { h.Log, h.Doc = true, doc; return h }

func count(name, doc string, f func(r *flow.Record) int64) hole {
	return logged(doc, short(name, func(b []byte, r *flow.Record) []byte { return strconv.AppendInt(b, f(r), 10) }))
}

func millis(name, doc string, f func(s spans) int64) hole {
	return count(name, doc+", in milliseconds; -1 if it was not reached", func(r *flow.Record) int64 { return f(spansOf(r)) })
}

func header(name string, place flow.Place) hole {
	h := http(hole{Placeholder: spec.Placeholder{Name: name}})
	h.capture = func(arg string) flow.Capture { return flow.Capture{Place: place, Name: arg, Max: maxField} }
	return h
}

// request gives the bytes of a request, nothing for streams.
func request(name string, f func(q *flow.Request) []byte) hole {
	return http(view(name, func(r *flow.Record) []byte {
		if r.Req == nil {
			return nil
		}
		return f(r.Req)
	}))
}

// long makes a value of a request that may be longer than a number.
func long(name string, f func(b []byte, r *flow.Record, arg string) []byte) hole {
	return http(hole{Placeholder: spec.Placeholder{Name: name}, fill: func(b []byte, r *flow.Record, arg string) []byte {
		if r.Req == nil {
			return b
		}
		return f(b, r, arg)
	}})
}

func ofTLS(name string, f func(t *flow.TLS) string) hole {
	return view(name, func(r *flow.Record) []byte {
		if r.Conn == nil || r.Conn.TLS == nil {
			return nil
		}
		return bytesOf(f(r.Conn.TLS))
	})
}

func ofCert(name string, f func(c *flow.ClientCert) string) hole {
	return ofTLS(name, func(t *flow.TLS) string {
		if t.Client == nil {
			return ""
		}
		return f(t.Client)
	})
}

func appendIP(b []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		return b
	}
	return a.Unmap().WithZone("").AppendTo(b)
}

func hide(r *flow.Record) []string {
	if r.Captures == nil {
		return nil
	}
	return r.Captures.Hide
}

// ciphers has the names of all suites: crypto/tls makes a new list at each question.
var ciphers = func() map[uint16]string {
	names := map[uint16]string{}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		names[s.ID] = s.Name
	}
	return names
}()

// holes is every placeholder that a log can fill in. The first part has the names,
// and the meaning, of modules/template, which fills in the same of an exchange that
// still goes on; a test there compares the two.
var holes = slices.Concat(proxied, []hole{
	short("client.ip", func(b []byte, r *flow.Record) []byte { return appendIP(b, r.Client.Addr()) }),
	short("client.port", func(b []byte, r *flow.Record) []byte {
		if r.Conn != nil {
			return strconv.AppendUint(b, uint64(r.Conn.Client.Port()), 10)
		}
		return strconv.AppendUint(b, uint64(r.Client.Port()), 10)
	}),
	short("client.peer", func(b []byte, r *flow.Record) []byte {
		if r.Conn == nil {
			return b
		}
		return appendIP(b, r.Conn.Peer.Addr())
	}),
	short("server.ip", func(b []byte, r *flow.Record) []byte { return appendIP(b, r.Local.Addr()) }),
	short("server.port", func(b []byte, r *flow.Record) []byte { return strconv.AppendUint(b, uint64(r.Local.Port()), 10) }),
	view("pool.name", func(r *flow.Record) []byte { return bytesOf(r.Pool) }),
	view("pool.server", func(r *flow.Record) []byte { return bytesOf(r.Server) }),
	view("pool.address", func(r *flow.Record) []byte { return bytesOf(r.ServerAddr) }),
	view("site.name", func(r *flow.Record) []byte { return bytesOf(r.Site) }),
	short("conn.id", func(b []byte, r *flow.Record) []byte { return strconv.AppendUint(b, r.ConnID, 10) }),
	{Placeholder: spec.Placeholder{Name: "conn.unique_id"}, fill: func(b []byte, r *flow.Record, _ string) []byte {
		if r.Conn == nil {
			return b
		}
		return r.Conn.AppendUniqueID(b)
	}},
	ofTLS("tls.resumed", func(t *flow.TLS) string { return yes(t.Resumed) }),
	short("time.unix", func(b []byte, _ *flow.Record) []byte { return strconv.AppendInt(b, time.Now().Unix(), 10) }),
	short("time.unix_ms", func(b []byte, _ *flow.Record) []byte { return strconv.AppendInt(b, time.Now().UnixMilli(), 10) }),
	short("time.rfc3339", func(b []byte, _ *flow.Record) []byte { return time.Now().UTC().AppendFormat(b, time.RFC3339) }),
	short("time.http", func(b []byte, _ *flow.Record) []byte {
		return time.Now().UTC().AppendFormat(b, "Mon, 02 Jan 2006 15:04:05 GMT")
	}),
	ofTLS("tls.server_name", func(t *flow.TLS) string { return t.ServerName }),
	ofTLS("tls.sni", func(t *flow.TLS) string { return t.ServerName }),
	ofTLS("tls.alpn", func(t *flow.TLS) string { return t.ALPN }),
	ofTLS("tls.version", func(t *flow.TLS) string {
		switch t.Version {
		case tls.VersionTLS12:
			return "TLSv1.2"
		case tls.VersionTLS13:
			return "TLSv1.3"
		default:
			return tls.VersionName(t.Version)
		}
	}),
	ofTLS("tls.cipher", func(t *flow.TLS) string { return ciphers[t.Cipher] }),
	ofCert("tls.client.subject", func(c *flow.ClientCert) string { return c.Subject }),
	ofCert("tls.client.issuer", func(c *flow.ClientCert) string { return c.Issuer }),
	ofCert("tls.client.serial", func(c *flow.ClientCert) string { return c.Serial }),
	{Placeholder: spec.Placeholder{Name: "tls.client.names"}, fill: func(b []byte, r *flow.Record, _ string) []byte {
		if r.Conn == nil || r.Conn.TLS == nil || r.Conn.TLS.Client == nil {
			return b
		}
		return r.Conn.TLS.Client.AppendNames(b)
	}},
	short("tls.client.not_after", func(b []byte, r *flow.Record) []byte {
		if r.Conn == nil || r.Conn.TLS == nil || r.Conn.TLS.Client == nil {
			return b
		}
		return r.Conn.TLS.Client.NotAfter.UTC().AppendFormat(b, time.RFC3339)
	}),
	ofCert("tls.client.fingerprint", func(c *flow.ClientCert) string { return c.Fingerprint }),

	http(view("http.method", func(r *flow.Record) []byte { return bytesOf(r.Method) })),
	request("http.scheme", func(q *flow.Request) []byte { return bytesOf(q.Scheme) }),
	request("http.host", func(q *flow.Request) []byte { return q.Host }),
	request("http.authority", func(q *flow.Request) []byte { return q.Authority }),
	request("trace.id", flow.TraceIDOf),
	request("http.path", func(q *flow.Request) []byte { return q.Path }),
	long("http.query", func(b []byte, r *flow.Record, _ string) []byte {
		return flow.AppendHiddenQuery(b, r.Req.Query, hide(r))
	}),
	long("http.uri", func(b []byte, r *flow.Record, _ string) []byte { return flow.AppendHidden(b, r.Req.Target, hide(r)) }),
	http(view("http.original_uri", func(r *flow.Record) []byte { return r.URI })),
	http(short("http.version", func(b []byte, r *flow.Record) []byte {
		if r.Req == nil {
			return b
		}
		if b = append(b, '0'+r.Req.Major); r.Req.Major < 2 {
			b = append(b, '.', '0'+r.Req.Minor)
		}
		return b
	})),
	header("http.header.*", flow.RequestHeader),
	header("http.cookie.*", flow.RequestCookie),
	long("http.query.*", func(b []byte, r *flow.Record, want string) []byte {
		name, value, rest, ok := flow.NextParam(r.Req.Query)
		for ; ok; name, value, rest, ok = flow.NextParam(rest) {
			if flow.EqualUnescaped(name, want) { // named, and therefore not masked
				return flow.AppendUnescaped(b, value)
			}
		}
		return b
	}),
	http(short("http.response.status", func(b []byte, r *flow.Record) []byte {
		if r.Status == 0 {
			return b
		}
		return flow.AppendStatus(b, r.Status)
	})),
	header("http.response.header.*", flow.ResponseHeader),

	logged("when the exchange began, as httplog writes it", short("log.date", func(b []byte, r *flow.Record) []byte { return appendDate(b, r.Start) })),
	logged("when the exchange began, as clf writes it", short("log.date_clf", func(b []byte, r *flow.Record) []byte { return appendZoned(b, r.Start) })),
	logged("when the exchange began, in UTC, as RFC 3339 writes it", short("log.time", func(b []byte, r *flow.Record) []byte { return appendUTC(b, r.Start) })),
	logged("method, URI and version, as clf writes them", http(hole{Placeholder: spec.Placeholder{Name: "log.request"}, fill: appendRawRequest})),
	logged("who the client has proved to be", view("log.user", func(r *flow.Record) []byte { return r.User })),
	logged("the termination state, as httplog writes it", short("log.flags", appendFlags)),
	count("log.bytes_in", "bytes from the client, heads included", func(r *flow.Record) int64 { return r.BytesIn }),
	count("log.bytes_out", "bytes to the client, heads included", func(r *flow.Record) int64 { return r.BytesOut }),
	count("log.body_bytes", "bytes of the answer's body", func(r *flow.Record) int64 { return r.BodyOut }),
	millis("log.request_ms", "reading the request's head (TR)", func(s spans) int64 { return s.request }),
	millis("log.queue_ms", "waiting for a server (Tw)", func(s spans) int64 { return s.queue }),
	millis("log.connect_ms", "connecting to the server (Tc)", func(s spans) int64 { return s.connect }),
	millis("log.answer_ms", "waiting for the answer's head (Tr)", func(s spans) int64 { return s.answer }),
	millis("log.total_ms", "all of it (Ta, of streams Tt)", func(s spans) int64 { return s.total }),
	count("log.retries", "how often the request was tried again", func(r *flow.Record) int64 { return int64(r.Retries) }),
	count("log.conns.process", "client connections of the process", func(r *flow.Record) int64 { return r.ActConn }),
	count("log.conns.site", "exchanges of the site", func(r *flow.Record) int64 { return r.SiteConn }),
	count("log.conns.pool", "exchanges of the pool", func(r *flow.Record) int64 { return r.PoolConn }),
	count("log.conns.server", "exchanges of the server", func(r *flow.Record) int64 { return r.ServerConn }),
	count("log.server_queue", "requests that were ahead in the server's queue", func(r *flow.Record) int64 { return r.ServerQueue }),
	count("log.pool_queue", "requests that were ahead in the pool's queue", func(r *flow.Record) int64 { return r.PoolQueue }),
})

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

// appendRawRequest is the request line before it is escaped.
func appendRawRequest(b []byte, r *flow.Record, _ string) []byte {
	if r.Bad || r.Method == "" {
		return append(b, '-')
	}
	b = append(append(b, r.Method...), ' ')
	b = append(append(b, r.URI...), ' ')
	return append(b, r.Version...)
}
