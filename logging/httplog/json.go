package httplog

import (
	"strconv"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// JSON is the format json: one object a line, whose members keep their names,
// types and order:
//
//	time            string  the start, RFC 3339, UTC, milliseconds
//	client          string  the client's address
//	client_port     number  0 if it is not known
//	site, pool, server, server_address  strings
//	tls             bool    whether the client's connection is encrypted
//	conn            number  the connection, counted since the start of the process
//	user            string  who the client has proved to be
//	method, uri, version, host          strings, of the request
//	status          number  of the answer
//	bytes_in, bytes_out, body_bytes     numbers: from the client and to it, heads
//	                        included; of the answer's body alone
//	request_ms, queue_ms, connect_ms, answer_ms, total_ms
//	                numbers HAProxy's TR, Tw, Tc, Tr, Ta; in tcp sites Tw, Tc and Tt
//	flags           string  the termination state, as in httplog
//	retries         number
//	redispatched    bool
//	conns_process, conns_site, conns_pool, conns_server  numbers, at the end
//	server_queue, pool_queue            numbers: ahead in the queue
//	referer, user_agent                 strings
//	request_captures, response_captures arrays of strings, in the order of `capture`
//	error           string  what went wrong, in words
//
// What is not known, or was not reached, is left out; so is what only exchanges have,
// in tcp sites.
type JSON struct{ referer, agent int }

// Append appends the line of r.
func (f JSON) Append(dst []byte, r *flow.Record) []byte {
	dst = append(dst, `{"time":"`...)
	dst = appendUTC(dst, r.Start)
	dst = append(dst, '"')
	if r.Client.IsValid() {
		dst = append(dst, `,"client":"`...)
		dst = appendClient(dst, r)
		dst = append(dst, '"')
		dst = number(dst, `,"client_port":`, int64(r.Client.Port()))
	}
	dst = member(dst, `,"site":"`, bytesOf(r.Site))
	dst = member(dst, `,"pool":"`, bytesOf(r.Pool))
	dst = member(dst, `,"server":"`, bytesOf(r.Server))
	dst = member(dst, `,"server_address":"`, bytesOf(r.ServerAddr))
	dst = strconv.AppendBool(append(dst, `,"tls":`...), r.TLS)
	dst = number(dst, `,"conn":`, int64(r.ConnID))
	dst = member(dst, `,"user":"`, r.User)
	if !r.Stream {
		dst = appendJSONRequest(dst, r)
	}
	dst = number(dst, `,"bytes_in":`, r.BytesIn)
	dst = number(dst, `,"bytes_out":`, r.BytesOut)
	if !r.Stream {
		dst = number(dst, `,"body_bytes":`, r.BodyOut)
	}
	dst = appendJSONTimes(dst, r)
	dst = append(dst, `,"flags":"`...)
	dst = appendFlags(dst, r)
	dst = number(dst, `","retries":`, int64(r.Retries))
	dst = strconv.AppendBool(append(dst, `,"redispatched":`...), r.Redispatched)
	dst = number(dst, `,"conns_process":`, r.ActConn)
	dst = number(dst, `,"conns_site":`, r.SiteConn)
	dst = number(dst, `,"conns_pool":`, r.PoolConn)
	dst = number(dst, `,"conns_server":`, r.ServerConn)
	dst = number(dst, `,"server_queue":`, r.ServerQueue)
	dst = number(dst, `,"pool_queue":`, r.PoolQueue)
	if !r.Stream {
		dst = member(dst, `,"referer":"`, captured(r, f.referer))
		dst = member(dst, `,"user_agent":"`, captured(r, f.agent))
		dst = list(dst, `,"request_captures":[`, r.ReqCaptures)
		dst = list(dst, `,"response_captures":[`, r.RespCaptures)
	}
	if e, ok := r.Err.(*flow.Error); ok && e != nil {
		dst = member(dst, `,"error":"`, bytesOf(e.Cause))
	}
	return append(dst, '}')
}

func appendJSONRequest(dst []byte, r *flow.Record) []byte {
	if !r.Bad && r.Method != "" {
		dst = member(dst, `,"method":"`, bytesOf(r.Method))
		dst = append(dst, `,"uri":"`...)
		dst = append(appendJSON(dst, r.URI, maxURL), '"')
		dst = member(dst, `,"version":"`, bytesOf(r.Version))
		if r.Req != nil {
			dst = member(dst, `,"host":"`, r.Req.Host)
		}
	}
	if r.Status > 0 {
		dst = number(dst, `,"status":`, int64(r.Status))
	}
	return dst
}

func appendJSONTimes(dst []byte, r *flow.Record) []byte {
	s := spansOf(r)
	dst = span(dst, `,"request_ms":`, s.request)
	dst = span(dst, `,"queue_ms":`, s.queue)
	dst = span(dst, `,"connect_ms":`, s.connect)
	dst = span(dst, `,"answer_ms":`, s.answer)
	return span(dst, `,"total_ms":`, s.total)
}

// member appends a string, unless it is empty.
func member(dst []byte, name string, v []byte) []byte {
	if len(v) == 0 {
		return dst
	}
	return append(appendJSON(append(dst, name...), v, maxField), '"')
}

func number(dst []byte, name string, n int64) []byte {
	return strconv.AppendInt(append(dst, name...), n, 10)
}

func span(dst []byte, name string, ms int64) []byte {
	if ms < 0 {
		return dst
	}
	return number(dst, name, ms)
}

func list(dst []byte, name string, values [][]byte) []byte {
	if len(values) == 0 {
		return dst
	}
	dst = append(dst, name...)
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendJSON(append(dst, '"'), v, maxField), '"')
	}
	return append(dst, ']')
}

// appendUTC appends a moment as RFC 3339 does, with milliseconds.
func appendUTC(dst []byte, t time.Time) []byte {
	year, month, day := t.UTC().Date()
	hour, minute, second := t.UTC().Clock()
	if year < 1000 || year > 9999 {
		return t.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	}
	dst = strconv.AppendInt(dst, int64(year), 10)
	for i, n := range [...]int{int(month), day, hour, minute, second} {
		dst = append(dst, "--T::"[i], byte('0'+n/10), byte('0'+n%10))
	}
	ms := t.Nanosecond() / nanosPerMilli
	return append(dst, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z')
}
