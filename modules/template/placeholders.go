package template

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// placeholder is one name with what fills it in.
type placeholder struct {
	spec.Placeholder
	fill func(dst []byte, x *flow.Exchange, arg string) []byte
}

// table is every placeholder there is.
var table = slices.Concat(common, tlsPlaceholders, proxyPlaceholders)

var common = []placeholder{
	{spec.Placeholder{Name: "client.ip", Doc: "the client's address, behind trusted proxies the one they pass on"},
		func(b []byte, x *flow.Exchange, _ string) []byte { return AppendAddr(b, x.Client) }},
	{spec.Placeholder{Name: "client.port", Doc: "the client's port"},
		func(b []byte, x *flow.Exchange, _ string) []byte { return appendPort(b, x.Conn.Client) }},
	{spec.Placeholder{Name: "client.peer", Doc: "the address at the other end of the connection"},
		func(b []byte, x *flow.Exchange, _ string) []byte { return AppendAddr(b, x.Conn.Peer.Addr().Unmap()) }},
	{spec.Placeholder{Name: "server.ip", Doc: "the address that the client connected to"},
		func(b []byte, x *flow.Exchange, _ string) []byte { return AppendAddr(b, x.Conn.Local.Addr().Unmap()) }},
	{spec.Placeholder{Name: "server.port", Doc: "the port that the client connected to"},
		func(b []byte, x *flow.Exchange, _ string) []byte { return appendPort(b, x.Conn.Local) }},
	{spec.Placeholder{Name: "pool.name", Doc: "the pool that was chosen, empty before `proxy`"},
		func(b []byte, x *flow.Exchange, _ string) []byte { return append(b, x.Record.Pool...) }},
	{spec.Placeholder{Name: "pool.server", Doc: "the pool's server that was chosen"},
		func(b []byte, x *flow.Exchange, _ string) []byte { return append(b, x.Record.Server...) }},
	{spec.Placeholder{Name: "pool.address", Doc: "the address of the server that was chosen"},
		func(b []byte, x *flow.Exchange, _ string) []byte { return append(b, x.Record.ServerAddr...) }},
	{spec.Placeholder{Name: "site.name", Doc: "the site, as the logs name it"},
		func(b []byte, x *flow.Exchange, _ string) []byte { return append(b, x.Record.Site...) }},
	{spec.Placeholder{Name: "conn.id", Doc: "the number of the connection, counted since the start of the process"},
		func(b []byte, x *flow.Exchange, _ string) []byte { return strconv.AppendUint(b, x.Conn.ID, 10) }},
	{spec.Placeholder{Name: "conn.unique_id", Doc: "the connection's name among those of all machines: what a PROXY header called it, or one of our own"},
		func(b []byte, x *flow.Exchange, _ string) []byte { return x.Conn.AppendUniqueID(b) }},
	{spec.Placeholder{Name: "time.unix", Doc: "now, in seconds since 1970"},
		func(b []byte, _ *flow.Exchange, _ string) []byte { return strconv.AppendInt(b, time.Now().Unix(), 10) }},
	{spec.Placeholder{Name: "time.unix_ms", Doc: "now, in milliseconds since 1970"},
		func(b []byte, _ *flow.Exchange, _ string) []byte {
			return strconv.AppendInt(b, time.Now().UnixMilli(), 10)
		}},
	{spec.Placeholder{Name: "time.rfc3339", Doc: "now, in UTC, as RFC 3339 writes it"},
		func(b []byte, _ *flow.Exchange, _ string) []byte {
			return time.Now().UTC().AppendFormat(b, time.RFC3339)
		}},
	{spec.Placeholder{Name: "time.http", Doc: "now, as HTTP header fields write it (RFC 9110 §5.6.7)"},
		func(b []byte, _ *flow.Exchange, _ string) []byte {
			return time.Now().UTC().AppendFormat(b, "Mon, 02 Jan 2006 15:04:05 GMT")
		}},

	{spec.Placeholder{Name: "http.method", HTTP: true, Doc: "the request's method"},
		func(b []byte, x *flow.Exchange, _ string) []byte { return append(b, x.Req.Method...) }},
	{spec.Placeholder{Name: "http.scheme", HTTP: true, Doc: "http or https"},
		func(b []byte, x *flow.Exchange, _ string) []byte { return append(b, x.Req.Scheme...) }},
	{spec.Placeholder{Name: "http.host", HTTP: true, Doc: "the request's host, lower case, without port"},
		func(b []byte, x *flow.Exchange, _ string) []byte { return appendHost(b, x.Req.Host) }},
	{spec.Placeholder{Name: "http.authority", HTTP: true, Doc: "the request's host as sent, with port"},
		func(b []byte, x *flow.Exchange, _ string) []byte { return append(b, x.Req.Authority...) }},
	{spec.Placeholder{Name: "http.path", HTTP: true, Doc: "the path in its normal form, decoded"},
		func(b []byte, x *flow.Exchange, _ string) []byte { return append(b, x.Req.Path...) }},
	{spec.Placeholder{Name: "http.query", HTTP: true, Doc: "the query as sent, without its ?"},
		func(b []byte, x *flow.Exchange, _ string) []byte { return append(b, x.Req.Query...) }},
	{spec.Placeholder{Name: "http.uri", HTTP: true, Doc: "path and query as they are forwarded"},
		func(b []byte, x *flow.Exchange, _ string) []byte { return append(b, x.Req.Target...) }},
	{spec.Placeholder{Name: "http.original_uri", HTTP: true, Doc: "the request target as it came"},
		func(b []byte, x *flow.Exchange, _ string) []byte { return append(b, x.Req.Original...) }},
	{spec.Placeholder{Name: "http.version", HTTP: true, Doc: "the version of HTTP that the client speaks: 1.0, 1.1, 2 or 3"},
		func(b []byte, x *flow.Exchange, _ string) []byte {
			b = append(b, '0'+x.Req.Major)
			if x.Req.Major < 2 {
				b = append(b, '.', '0'+x.Req.Minor)
			}
			return b
		}},
	{spec.Placeholder{Name: "http.header.*", HTTP: true, Doc: "the first field of that name in the request's header"},
		func(b []byte, x *flow.Exchange, name string) []byte { return append(b, x.Req.Header.Get(name)...) }},
	{spec.Placeholder{Name: "http.cookie.*", HTTP: true, Doc: "the request's cookie of that name"}, appendCookie},
	{spec.Placeholder{Name: "http.query.*", HTTP: true, Doc: "the first parameter of that name in the query, decoded"}, appendParam},
	{spec.Placeholder{Name: "trace.id", HTTP: true, Doc: "the trace that the request belongs to (W3C Trace Context), empty if it belongs to none"},
		func(b []byte, x *flow.Exchange, _ string) []byte { return append(b, flow.TraceIDOf(&x.Req)...) }},
	{spec.Placeholder{Name: "http.response.status", HTTP: true, Doc: "the answer's status, empty before there is one"},
		func(b []byte, x *flow.Exchange, _ string) []byte {
			if x.Resp.Status != 0 {
				b = flow.AppendStatus(b, x.Resp.Status)
			}
			return b
		}},
	{spec.Placeholder{Name: "http.response.header.*", HTTP: true, Doc: "the first field of that name in the answer's header"},
		func(b []byte, x *flow.Exchange, name string) []byte { return append(b, x.Resp.Header.Get(name)...) }},
}

// Placeholders is the vocabulary of templates.
func Placeholders() []spec.Placeholder {
	out := make([]spec.Placeholder, len(table))
	for i := range table {
		out[i] = table[i].Placeholder
	}
	return out
}

// AppendAddr appends an address as text; nothing for the zero Addr.
func AppendAddr(b []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		return b
	}
	return a.AppendTo(b)
}

func appendPort(b []byte, a netip.AddrPort) []byte {
	return strconv.AppendUint(b, uint64(a.Port()), 10)
}

// appendHost gives an IPv6 literal the brackets back that it needs in URLs.
func appendHost(b, host []byte) []byte {
	if bytes.IndexByte(host, ':') >= 0 {
		return append(append(append(b, '['), host...), ']')
	}
	return append(b, host...)
}

func appendCookie(b []byte, x *flow.Exchange, want string) []byte {
	h := &x.Req.Header
	for i := range h.Len() {
		id, _, field, ok := h.At(i)
		if !ok || id != flow.FieldCookie {
			continue
		}
		name, value, rest, ok := flow.NextCookie(field)
		for ; ok; name, value, rest, ok = flow.NextCookie(rest) {
			if string(name) == want {
				return append(b, value...)
			}
		}
	}
	return b
}

func appendParam(b []byte, x *flow.Exchange, want string) []byte {
	name, value, rest, ok := flow.NextParam(x.Req.Query)
	for ; ok; name, value, rest, ok = flow.NextParam(rest) {
		if flow.EqualUnescaped(name, want) {
			return flow.AppendUnescaped(b, value)
		}
	}
	return b
}
