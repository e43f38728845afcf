package httplog

import (
	"strconv"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// TCP is the format tcplog:
//
//	client:port [date] site pool/server Tw/Tc/Tt bytes flags act/site/pool/server/retries srvqueue/poolqueue
type TCP struct{}

// Append appends the line of r.
func (TCP) Append(dst []byte, r *flow.Record) []byte {
	limit := len(dst) + maxLine
	dst = appendHead(dst, r, limit)
	dst = appendStreamTimes(dst, &r.Timings)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, r.BytesOut, 10)
	dst = append(dst, ' ', letter(r.Cause), letter(r.Phase), ' ')
	dst = appendCounters(dst, r)
	return dst[:min(len(dst), limit)]
}

// appendStreamTimes appends Tw/Tc/Tt: waiting for a slot, connecting, and all of
// it since the connection was accepted; -1 stands for a phase not reached.
func appendStreamTimes(dst []byte, t *flow.Timings) []byte {
	asked, slot, conn := since(t.Accept, t.Queued), since(t.Accept, t.Slot), since(t.Accept, t.Connected)
	if asked < 0 {
		asked = slot // no queue was asked: no time was spent in one
	}
	dst = appendSpan(dst, asked, slot)
	dst = append(dst, '/')
	dst = appendSpan(dst, slot, conn)
	dst = append(dst, '/')
	return strconv.AppendInt(dst, since(t.Accept, ended(t)), 10)
}
