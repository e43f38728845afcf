package trace

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/measure"
)

// spansOf makes the spans of an exchange that has ended: its own, and one for each
// try. Names and attributes are those of OpenTelemetry's semantic conventions for
// HTTP spans (stable since 1.23); what they have no name for begins with
// "loadstar.". The query is left out: conventions want secrets in it masked.
func spansOf(r *flow.Record) []*tracepb.Span {
	clock := wall()
	tr := r.Trace
	method, asked := methodOf(r.Method)
	own := &tracepb.Span{
		TraceId: tr.ID[:], SpanId: tr.Span[:], Flags: uint32(tr.Flags), Kind: tracepb.Span_SPAN_KIND_SERVER, Name: method,
		StartTimeUnixNano: clock.at(began(r)), EndTimeUnixNano: clock.at(r.Timings.End),
		Attributes: attributes(r, method, asked),
	}
	own.TraceId, own.SpanId = append([]byte(nil), own.TraceId...), append([]byte(nil), own.SpanId...)
	if tr.Parent != (flow.SpanID{}) {
		own.ParentSpanId = append([]byte(nil), tr.Parent[:]...)
	}
	kind := ""
	if f := measure.FailureOf(r); f != measure.NoFailure && f != measure.Denied {
		kind = f.String()
	} else if r.Status >= 500 {
		kind = strconv.Itoa(r.Status)
	}
	fail(own, kind, r.Err)
	if t := &r.Timings; t.Queued != 0 && t.Slot > t.Queued {
		own.Events = append(own.Events,
			&tracepb.Span_Event{Name: "queued", TimeUnixNano: clock.at(t.Queued)}, &tracepb.Span_Event{Name: "slot", TimeUnixNano: clock.at(t.Slot)})
	}
	spans := []*tracepb.Span{own}
	for i := range tr.Tries {
		s := clock.try(&tr.Tries[i], i)
		s.TraceId, s.ParentSpanId, s.Flags, s.Name = own.TraceId, own.SpanId, own.Flags, method
		s.Attributes = append(s.Attributes, text("http.request.method", method), text("loadstar.pool", r.Pool))
		spans = append(spans, s)
	}
	return spans
}

// try makes the span of a try.
func (c clock) try(t *flow.Try, i int) *tracepb.Span {
	s := &tracepb.Span{
		SpanId: append([]byte(nil), t.Span[:]...), Kind: tracepb.Span_SPAN_KIND_CLIENT,
		StartTimeUnixNano: c.at(t.Start), EndTimeUnixNano: c.at(max(t.End, t.Start)),
		Attributes: []*commonpb.KeyValue{text("loadstar.server", t.Server)},
	}
	if host, port, err := net.SplitHostPort(t.Address); err == nil {
		s.Attributes = append(s.Attributes, text("server.address", host))
		if n, err := strconv.Atoi(port); err == nil {
			s.Attributes = append(s.Attributes, number("server.port", int64(n)))
		}
	} else {
		s.Attributes = append(s.Attributes, text("server.address", t.Address))
	}
	if i > 0 {
		s.Attributes = append(s.Attributes, number("http.request.resend_count", int64(i)))
	}
	if t.Connected != 0 {
		s.Events = append(s.Events, &tracepb.Span_Event{Name: "connected", TimeUnixNano: c.at(t.Connected)})
	}
	if t.Answer != 0 {
		s.Events = append(s.Events, &tracepb.Span_Event{Name: "answer", TimeUnixNano: c.at(t.Answer)})
	}
	if t.Status != 0 && t.Err == nil {
		s.Attributes = append(s.Attributes, number("http.response.status_code", int64(t.Status)))
	}
	switch {
	case t.Err != nil:
		fail(s, t.Err.Cause, t.Err)
	case t.Status >= 400:
		fail(s, strconv.Itoa(t.Status), nil)
	}
	return s
}

// attributes describes the request and its answer.
func attributes(r *flow.Record, method, asked string) []*commonpb.KeyValue {
	all := []*commonpb.KeyValue{
		text("http.request.method", method), text("loadstar.site", r.Site), text("loadstar.termination", string([]byte{letter(r.Cause), letter(r.Phase)})),
		text("network.protocol.name", "http"), text("network.protocol.version", strings.TrimSuffix(strings.TrimPrefix(r.Version, "HTTP/"), ".0")),
		number("http.request.size", r.BytesIn), number("http.response.size", r.BytesOut),
	}
	if r.Version == "HTTP/1.0" {
		all[4] = text("network.protocol.version", "1.0")
	}
	if asked != "" {
		all = append(all, text("http.request.method_original", asked))
	}
	if r.Status != 0 {
		all = append(all, number("http.response.status_code", int64(r.Status)))
	}
	if r.Pool != "" {
		all = append(all, text("loadstar.pool", r.Pool))
	}
	if r.Client.IsValid() {
		all = append(all, text("client.address", address(r.Client)))
	}
	if c := r.Conn; c != nil && c.Peer.IsValid() {
		all = append(all, text("network.peer.address", address(c.Peer)), number("network.peer.port", int64(c.Peer.Port())))
	}
	if q := r.Req; q != nil {
		all = append(all, text("url.scheme", q.Scheme), text("url.path", string(q.Path)), text("server.address", string(q.Host)))
		if agent := q.Header.Get("user-agent"); len(agent) > 0 {
			all = append(all, text("user_agent.original", string(agent)))
		}
	}
	if r.Local.IsValid() {
		all = append(all, number("server.port", int64(r.Local.Port())))
	}
	return all
}

// fail marks a span as failed: kind is a word of few, for error.type.
func fail(s *tracepb.Span, kind string, err error) {
	if kind == "" {
		return
	}
	s.Attributes = append(s.Attributes, text("error.type", kind))
	s.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR}
	if err != nil {
		s.Status.Message = clean(err.Error())
	}
}

// methodOf gives a method as the conventions have it, whose values are to be few,
// and the original if it is another.
func methodOf(m string) (method, original string) {
	switch m {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY":
		return m, ""
	}
	return "_OTHER", m
}

// clock turns moments of the monotonic clock into those of the wall's.
type clock struct{ now, wall int64 }

func wall() clock { return clock{flow.Now(), time.Now().UnixNano()} }

func (c clock) at(moment int64) uint64 {
	if moment == 0 {
		moment = c.now
	}
	return uint64(c.wall - (c.now - moment))
}

// began is when the request's first byte came.
func began(r *flow.Record) int64 {
	if r.Timings.FirstByte != 0 {
		return r.Timings.FirstByte
	}
	return r.Timings.Accept
}

func letter(c byte) byte {
	if c == 0 {
		return '-'
	}
	return c
}

func address(a netip.AddrPort) string { return a.Addr().Unmap().WithZone("").String() }

// longest bounds a text that a client chose.
const longest = 2048

// clean makes a text fit for protobuf, which takes UTF-8 only.
func clean(s string) string { return strings.ToValidUTF8(s[:min(len(s), longest)], "\uFFFD") }

func text(key, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: clean(value)}}}
}

func number(key string, value int64) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: value}}}
}
