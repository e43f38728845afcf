package flow

import "encoding/hex"

// W3C Trace Context, https://www.w3.org/TR/trace-context/: the header field
// traceparent names the trace that a request belongs to, and the span (a piece of
// work with a begin and an end) that it is sent from.

// TraceID is the name of a trace; zero is none.
type TraceID [16]byte

// SpanID is the name of a span; zero is none.
type SpanID [8]byte

// TraceParent is what the field says.
type TraceParent struct {
	ID    TraceID
	Span  SpanID
	Flags byte // bit 0: sampled
}

// traceParentLen is how long the field is in version 00.
const traceParentLen = 55

// ParseTraceParent reads the value of a traceparent field (§3.2 there). Of versions
// to come it takes what they have in common with 00.
func ParseTraceParent(v []byte) (p TraceParent, ok bool) {
	if len(v) < traceParentLen || v[2] != '-' || v[35] != '-' || v[52] != '-' {
		return p, false
	}
	var version, flags [1]byte
	if !decodeHex(version[:], v[:2]) || version[0] == 0xff || version[0] == 0 && len(v) != traceParentLen ||
		len(v) > traceParentLen && v[traceParentLen] != '-' {
		return p, false
	}
	if !decodeHex(p.ID[:], v[3:35]) || !decodeHex(p.Span[:], v[36:52]) || !decodeHex(flags[:], v[53:55]) ||
		p.ID == (TraceID{}) || p.Span == (SpanID{}) {
		return TraceParent{}, false
	}
	p.Flags = flags[0]
	return p, true
}

// decodeHex reads lower-case hexadecimal digits, which is all that the field may have.
func decodeHex(dst, src []byte) bool {
	for _, c := range src {
		if c >= 'A' && c <= 'F' {
			return false
		}
	}
	_, err := hex.Decode(dst, src)
	return err == nil
}

// Append appends the value of a traceparent field of version 00.
func (p *TraceParent) Append(dst []byte) []byte {
	dst = append(dst, "00-"...)
	dst = hex.AppendEncode(dst, p.ID[:])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, p.Span[:])
	dst = append(dst, '-')
	return hex.AppendEncode(dst, []byte{p.Flags})
}

// TraceIDOf gives the trace that a request belongs to as its traceparent field
// writes it, nil if it has no valid one.
func TraceIDOf(q *Request) []byte {
	v := q.Header.Get("traceparent")
	if _, ok := ParseTraceParent(v); !ok {
		return nil
	}
	return v[3:35]
}

// Trace is what is noted of an exchange while it is traced.
type Trace struct {
	TraceParent        // the trace, and the exchange's own span
	Parent      SpanID // that of the client, zero if this one is the first
	Tries       []Try
	// NewSpan names the next span.
	NewSpan func() SpanID
	field   [traceParentLen]byte
}

// Try is one try at a server. Its moments are those of Timings.
type Try struct {
	Span            SpanID
	Server, Address string
	Start           int64 // the server was chosen, and had a slot
	Connected       int64
	Answer          int64
	End             int64 // 0: with the exchange
	Status          int
	Err             *Error // nil: it was answered
}

// Begin notes a try at a server and names it to the server as the span that the
// request comes from.
func (t *Trace) Begin(x *Exchange, server, address string) {
	p := t.TraceParent
	p.Span = t.NewSpan()
	t.Tries = append(t.Tries, Try{Span: p.Span, Server: server, Address: address, Start: Now()})
	x.Req.Header.SetBytes("traceparent", p.Append(t.field[:0]))
}

// Failed notes that the try is over, and that another may follow: err tells why,
// nil if its answer was dropped for its status.
func (t *Trace) Failed(x *Exchange, err *Error) {
	if n := len(t.Tries); n > 0 {
		t.Tries[n-1].close(&x.Record.Timings, Now())
		t.Tries[n-1].Status, t.Tries[n-1].Err = x.Resp.Status, err
	}
}

// Ended notes that the exchange is over, and the last try with it.
func (t *Trace) Ended(r *Record) {
	if n := len(t.Tries); n > 0 && t.Tries[n-1].End == 0 {
		t.Tries[n-1].close(&r.Timings, r.Timings.End)
		t.Tries[n-1].Status = r.Status
		if e, ok := r.Err.(*Error); ok && e.Side == SideServer { // it broke its answer off
			t.Tries[n-1].Err = e
		}
	}
}

func (t *Try) close(at *Timings, end int64) {
	t.End = end
	if at.Connected >= t.Start {
		t.Connected = at.Connected
	}
	if at.Answer >= t.Start {
		t.Answer = at.Answer
	}
}
