package httplog

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// CLF is the format clf, Apache's "%h %l %u %t \"%r\" %>s %b":
//
//	client - user [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.1" 200 2326
//
// Bytes are those of the body, "-" if there were none; a request that could not be
// read is "-", too. URLs are cut at 4096 bytes.
type CLF struct{}

// maxURL bounds a URL in formats that HAProxy's limits do not bind, in bytes.
const maxURL = 4096

// Append appends the line of r.
func (CLF) Append(dst []byte, r *flow.Record) []byte {
	dst = appendClient(dst, r)
	dst = append(dst, " - "...)
	dst = appendQuoted(dst, r.User, maxField, bare)
	dst = append(dst, " ["...)
	dst = appendZoned(dst, r.Start)
	dst = append(dst, `] "`...)
	dst = appendRequestLine(dst, r, quoted)
	dst = append(dst, `" `...)
	if r.Status > 0 {
		dst = flow.AppendStatus(dst, r.Status)
	} else {
		dst = append(dst, '-')
	}
	dst = append(dst, ' ')
	if r.BodyOut > 0 {
		return strconv.AppendInt(dst, r.BodyOut, 10)
	}
	return append(dst, '-')
}

// Combined is the format combined: clf, and `"Referer" "User-Agent"`.
type Combined struct{ referer, agent int }

// Append appends the line of r.
func (f Combined) Append(dst []byte, r *flow.Record) []byte {
	dst = CLF{}.Append(dst, r)
	for _, i := range [...]int{f.referer, f.agent} {
		dst = append(dst, ` "`...)
		if v := captured(r, i); len(v) > 0 {
			dst = appendQuoted(dst, v, maxField, quoted)
		} else {
			dst = append(dst, '-')
		}
		dst = append(dst, '"')
	}
	return dst
}

// appendClient appends the client's address, "-" where it has none.
func appendClient(dst []byte, r *flow.Record) []byte {
	if !r.Client.IsValid() {
		return append(dst, '-')
	}
	return r.Client.Addr().Unmap().WithZone("").AppendTo(dst)
}

// appendRequestLine appends METHOD URI VERSION, "-" if it could not be read.
func appendRequestLine(dst []byte, r *flow.Record, how quoting) []byte {
	if r.Bad || r.Method == "" {
		return append(dst, '-')
	}
	dst = appendQuoted(dst, bytesOf(r.Method), maxField, how)
	dst = append(dst, ' ')
	dst = appendQuoted(dst, r.URI, maxURL, how)
	dst = append(dst, ' ')
	return appendQuoted(dst, bytesOf(r.Version), maxField, how)
}

// zoneLayout is Apache's date.
const zoneLayout = "02/Jan/2006:15:04:05 -0700"

type zonedSecond struct {
	unix int64
	text [len(zoneLayout)]byte
}

var latestZoned atomic.Pointer[zonedSecond]

// appendZoned appends a date as Apache writes it, in local time; see appendDate.
func appendZoned(dst []byte, t time.Time) []byte {
	unix := t.Unix()
	s := latestZoned.Load()
	if s != nil && s.unix == unix {
		return append(dst, s.text[:]...)
	}
	n := len(dst)
	dst = t.Local().AppendFormat(dst, zoneLayout)
	if (s == nil || unix > s.unix || s.unix-unix > 3600) && len(dst)-n == len(zoneLayout) {
		fresh := &zonedSecond{unix: unix}
		copy(fresh.text[:], dst[n:])
		latestZoned.Store(fresh)
	}
	return dst
}
