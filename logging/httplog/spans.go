package httplog

import "github.com/loadstar-lb/loadstar/listener/flow"

// spans are the phases of a record in whole milliseconds, -1 where one was not
// reached: what httplog and tcplog write, one by one.
type spans struct{ request, queue, connect, answer, total int64 }

func spansOf(r *flow.Record) spans {
	t := &r.Timings
	if r.Stream {
		asked, slot, conn := since(t.Accept, t.Queued), since(t.Accept, t.Slot), since(t.Accept, t.Connected)
		if asked < 0 {
			asked = slot
		}
		return spans{-1, between(asked, slot), between(slot, conn), -1, since(t.Accept, ended(t))}
	}
	start := t.FirstByte
	if start == 0 {
		start = t.Accept
	}
	total := since(start, ended(t))
	if r.Bad {
		return spans{-1, -1, -1, -1, total}
	}
	head, slot, conn, answer := since(start, t.Head), since(start, t.Slot), since(start, t.Connected), since(start, t.Answer)
	return spans{head, between(head, slot), between(slot, conn), between(conn, answer), total}
}

func between(from, to int64) int64 {
	if from < 0 || to < 0 {
		return -1
	}
	return max(to-from, 0)
}

// appendFlags appends the termination state: four letters, of streams two.
func appendFlags(dst []byte, r *flow.Record) []byte {
	dst = append(dst, letter(r.Cause), letter(r.Phase))
	if r.Stream {
		return dst
	}
	return append(dst, letter(r.CookieIn), letter(r.CookieOut))
}
