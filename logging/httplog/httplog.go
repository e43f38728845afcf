// Package httplog holds the line formats, one file a format: httplog and tcplog,
// which HAProxy made common, field for field, so that what reads its logs reads ours
// (HAProxy configuration manual, "HTTP log format" and "TCP log format"); clf and
// combined, which Apache made common (mod_log_config, "Common Log Format"); json; and
// templates.
//
// No format writes what clients prove themselves with: neither Authorization nor
// Cookie stands in a line unless `capture` or a template names it, a URL with a user
// and a password in it is refused before it gets here, and the values of query
// parameters that carry tokens are masked (logging.Credentials).
package httplog

import (
	"strconv"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/logging"
)

// maxLine bounds a line, and the URI in it, in bytes. HAProxy cuts there, too
// (its "len" and tune.http.logurilen): what does not fit is missing at the end,
// the closing quote with it.
const maxLine = 1024

// fields asks for a captured value.
type fields = func(flow.Capture) int

// maxField bounds a value that a client chose, in bytes.
const maxField = 1024

var (
	referer   = flow.Capture{Place: flow.RequestHeader, Name: "Referer", Max: maxField}
	userAgent = flow.Capture{Place: flow.RequestHeader, Name: "User-Agent", Max: maxField}
)

// captured gives a captured value, nil if there was none.
func captured(r *flow.Record, i int) []byte {
	if i < len(r.Fields) {
		return r.Fields[i]
	}
	return nil
}

// Modules lists the formats; the first is the default of HTTP sites.
func Modules() []logging.FormatModule {
	return []logging.FormatModule{
		{
			Name: "httplog", Streams: "tcplog",
			Doc: "HAProxy's HTTP log: timers, status, bytes, cookies, termination state, counters, captures, request.",
			New: func(fields) logging.Format { return HTTP{} },
		},
		{
			Name: "tcplog",
			Doc:  "HAProxy's TCP log: timers, bytes, termination state, counters.",
			New:  func(fields) logging.Format { return TCP{} },
		},
		{
			Name: "clf", Streams: "tcplog",
			Doc: "Apache's Common Log Format: client, user, date, request, status, bytes of the body.",
			New: func(fields) logging.Format { return CLF{} },
		},
		{
			Name: "combined", Streams: "tcplog",
			Doc: "Apache's combined format: clf, Referer and User-Agent.",
			New: func(field fields) logging.Format {
				return Combined{referer: field(referer), agent: field(userAgent)}
			},
		},
		{
			Name: "json",
			Doc:  "One JSON object (RFC 8259) a line, ASCII only; what is not known is left out.",
			New: func(field fields) logging.Format {
				return JSON{referer: field(referer), agent: field(userAgent)}
			},
		},
	}
}

// HTTP is the format httplog:
//
//	client:port [date] site pool/server TR/Tw/Tc/Tr/Ta status bytes reqcookie rescookie flags
//	act/site/pool/server/retries srvqueue/poolqueue {req captures} {res captures} "METHOD uri VERSION"
//
// on one line; captures stand there only if some are declared.
type HTTP struct{}

// Append appends the line of r.
func (HTTP) Append(dst []byte, r *flow.Record) []byte {
	limit := len(dst) + maxLine
	dst = appendHead(dst, r, limit)
	dst = appendTimes(dst, &r.Timings, r.Bad)
	dst = append(dst, ' ')
	if r.Status > 0 {
		dst = flow.AppendStatus(dst, r.Status)
	} else {
		dst = append(dst, "-1"...)
	}
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, r.BytesOut, 10)
	in, out := r.Cookies()
	dst = appendCookie(dst, in, limit)
	dst = appendCookie(dst, out, limit)
	dst = append(dst, ' ', letter(r.Cause), letter(r.Phase), letter(r.CookieIn), letter(r.CookieOut), ' ')
	dst = appendCounters(dst, r)
	if !r.Bad {
		dst = appendCaptures(dst, r.ReqCaptures, limit)
		dst = appendCaptures(dst, r.RespCaptures, limit)
	}
	dst = append(dst, ' ', '"')
	dst = appendRequest(dst, r, limit)
	dst = append(dst, '"')
	return dst[:min(len(dst), limit)]
}

// appendTimes appends TR/Tw/Tc/Tr/Ta: reading the request, waiting for a slot,
// connecting, waiting for the answer's head, and all of it. Each is the difference
// of two whole milliseconds since the start, so that the parts never sum up to more
// than the whole; -1 stands for a phase that was not reached.
func appendTimes(dst []byte, t *flow.Timings, bad bool) []byte {
	start := t.FirstByte
	if start == 0 {
		start = t.Accept
	}
	head, slot, conn, answer := since(start, t.Head), since(start, t.Slot), since(start, t.Connected), since(start, t.Answer)
	if bad { // HAProxy counts what it cannot parse as never read
		head, slot, conn, answer = -1, -1, -1, -1
	}
	dst = appendSpan(dst, 0, head)
	dst = append(dst, '/')
	dst = appendSpan(dst, head, slot)
	dst = append(dst, '/')
	dst = appendSpan(dst, slot, conn)
	dst = append(dst, '/')
	dst = appendSpan(dst, conn, answer)
	dst = append(dst, '/')
	return strconv.AppendInt(dst, since(start, ended(t)), 10)
}

func appendCookie(dst, cookie []byte, limit int) []byte {
	dst = append(dst, ' ')
	if len(cookie) == 0 {
		return append(dst, '-')
	}
	return logging.AppendEscaped(dst, cookie, fieldSet, limit)
}

func appendCaptures(dst []byte, captures [][]byte, limit int) []byte {
	if len(captures) == 0 {
		return dst
	}
	dst = append(dst, ' ', '{')
	for i, c := range captures {
		if i > 0 {
			dst = append(dst, '|')
		}
		dst = logging.AppendEscaped(dst, c, captureSet, limit)
	}
	return append(dst, '}')
}

func appendRequest(dst []byte, r *flow.Record, limit int) []byte {
	if r.Bad || r.Method == "" {
		return append(dst, "<BADREQ>"...)
	}
	dst = logging.AppendEscaped(dst, r.Method, quotedSet, limit)
	dst = append(dst, ' ')
	dst = logging.AppendEscaped(dst, r.URI[:min(len(r.URI), maxLine)], quotedSet, limit)
	dst = append(dst, ' ')
	return logging.AppendEscaped(dst, r.Version, quotedSet, limit)
}
