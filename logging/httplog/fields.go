package httplog

import (
	"strconv"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/logging"
)

// The bytes that the parts of a line cannot hold as they are. Names come from the
// configuration, and an inline pool's has a "#" in it.
var (
	quotedSet  = logging.NewSet(`#"`)
	captureSet = logging.NewSet(`#"{|}`)
	fieldSet   = logging.NewSet(`#" `)
	nameSet    = logging.NewSet(`" `)
)

// appendHead appends what all formats begin with: client:port [date] site
// pool/server, and a blank.
func appendHead(dst []byte, r *flow.Record, limit int) []byte {
	if r.Client.IsValid() {
		// IPv6 stands without brackets, as HAProxy writes it: the port is
		// what follows the last colon.
		dst = r.Client.Addr().Unmap().WithZone("").AppendTo(dst)
	} else {
		dst = append(dst, "unix"...)
	}
	dst = append(dst, ':')
	dst = strconv.AppendUint(dst, uint64(r.Client.Port()), 10)
	dst = append(dst, ' ', '[')
	dst = appendDate(dst, r.Start)
	dst = append(dst, ']', ' ')
	dst = logging.AppendEscaped(dst, r.Site, nameSet, limit)
	if r.TLS {
		dst = append(dst, '~')
	}
	dst = append(dst, ' ')
	pool := r.Pool
	if pool == "" {
		pool = r.Site
	}
	dst = logging.AppendEscaped(dst, pool, nameSet, limit)
	dst = append(dst, '/')
	if r.Server == "" {
		dst = append(dst, "<NOSRV>"...)
	} else {
		dst = logging.AppendEscaped(dst, r.Server, nameSet, limit)
	}
	return append(dst, ' ')
}

// appendCounters appends act/site/pool/server/retries srvqueue/poolqueue.
func appendCounters(dst []byte, r *flow.Record) []byte {
	dst = strconv.AppendInt(dst, r.ActConn, 10)
	dst = append(dst, '/')
	dst = strconv.AppendInt(dst, r.SiteConn, 10)
	dst = append(dst, '/')
	dst = strconv.AppendInt(dst, r.PoolConn, 10)
	dst = append(dst, '/')
	dst = strconv.AppendInt(dst, r.ServerConn, 10)
	dst = append(dst, '/')
	if r.Redispatched {
		dst = append(dst, '+')
	}
	dst = strconv.AppendInt(dst, int64(r.Retries), 10)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, r.ServerQueue, 10)
	dst = append(dst, '/')
	return strconv.AppendInt(dst, r.PoolQueue, 10)
}

// letter gives a termination state's letter.
func letter(c byte) byte {
	if c <= ' ' || c > '~' {
		return '-'
	}
	return c
}

const nanosPerMilli = 1_000_000

// since gives the whole milliseconds from start to a moment, -1 if it was not
// reached.
func since(start, moment int64) int64 {
	if moment == 0 {
		return -1
	}
	return max(moment-start, 0) / nanosPerMilli
}

// ended gives the end of a record; one that broke off may have none noted.
func ended(t *flow.Timings) int64 {
	if t.End == 0 {
		return flow.Now()
	}
	return t.End
}

// appendSpan appends to-from; -1 unless both were reached.
func appendSpan(dst []byte, from, to int64) []byte {
	if from < 0 || to < 0 {
		return append(dst, "-1"...)
	}
	return strconv.AppendInt(dst, max(to-from, 0), 10)
}
