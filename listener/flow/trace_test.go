package flow

import (
	"strings"
	"testing"
)

func TestTraceParent(t *testing.T) {
	const id, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{"00-" + id + "-" + span + "-01", true},
		{"00-" + id + "-" + span + "-00", true},
		{"00-" + id + "-" + span + "-ff", true}, // flags that are not known yet
		{"01-" + id + "-" + span + "-01", true}, // versions to come, with and without more
		{"fe-" + id + "-" + span + "-01-more", true},
		{"01-" + id + "-" + span + "-01more", false},
		{"00-" + id + "-" + span + "-01-more", false},
		{"ff-" + id + "-" + span + "-01", false},
		{"00-" + strings.Repeat("0", 32) + "-" + span + "-01", false},
		{"00-" + id + "-" + strings.Repeat("0", 16) + "-01", false},
		{"00-" + strings.ToUpper(id) + "-" + span + "-01", false},
		{"00-" + id + "-" + span + "-0", false},
		{"00-" + id + "-" + span, false},
		{"00_" + id + "-" + span + "-01", false},
		{"00-" + id + "_" + span + "-01", false},
		{"00-" + id + "-" + span + "_01", false},
		{"0x-" + id + "-" + span + "-01", false},
		{"00-" + id[:31] + "g-" + span + "-01", false},
		{"00-" + id + "-" + span[:15] + "g-01", false},
		{"00-" + id + "-" + span + "-0g", false},
		{"", false},
	} {
		p, ok := ParseTraceParent([]byte(c.text))
		if ok != c.ok {
			t.Errorf("%q: %v", c.text, ok)
		}
		if !ok && p != (TraceParent{}) {
			t.Errorf("%q: left %v", c.text, p)
		}
		if ok && string(p.Append(nil))[3:] != c.text[3:55] {
			t.Errorf("%q became %q", c.text, p.Append(nil))
		}
	}
}

func FuzzTraceParent(f *testing.F) {
	f.Add([]byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
	f.Add([]byte("cc-12345678901234567890123456789012-1234567890123456-01-what"))
	f.Fuzz(func(t *testing.T, v []byte) {
		p, ok := ParseTraceParent(v)
		if !ok {
			return
		}
		again, ok := ParseTraceParent(p.Append(nil))
		if !ok || again != p || string(v[3:traceParentLen]) != string(p.Append(nil)[3:]) {
			t.Errorf("%q was read as %v, written as %q", v, p, p.Append(nil))
		}
	})
}

// TestTries: each try has its own times, and the one that goes on its answer's.
func TestTries(t *testing.T) {
	var n byte
	tr := &Trace{NewSpan: func() SpanID { n++; return SpanID{n} }, TraceParent: TraceParent{ID: TraceID{1}, Span: SpanID{9}, Flags: 1}}
	x := &Exchange{}
	x.Begin(nil, nil)
	x.Record.Trace = tr
	tr.Begin(x, "one", "a:1")
	if p, ok := ParseTraceParent(x.Req.Header.Get("traceparent")); !ok || p.Span != (SpanID{1}) || p.ID != tr.ID {
		t.Errorf("the first server is told %v", p)
	}
	x.Record.Timings.Connected = Now()
	tr.Failed(x, &Error{Cause: "empty answer"})
	tr.Begin(x, "two", "b:1")
	if p, _ := ParseTraceParent(x.Req.Header.Get("traceparent")); p.Span != (SpanID{2}) {
		t.Errorf("the second server is told %v", p)
	}
	x.Record.Timings.Answer, x.Record.Timings.End, x.Record.Status = Now(), Now(), 200
	tr.Ended(&x.Record)
	one, two := tr.Tries[0], tr.Tries[1]
	broken := &Error{Side: SideServer, Phase: PhaseData}
	tr.Begin(x, "two", "b:1")
	x.Record.Err = broken
	if tr.Ended(&x.Record); tr.Tries[2].Err != broken || tr.Tries[1].Err != nil {
		t.Errorf("an answer that was broken off: %+v", tr.Tries)
	}
	if one.Connected == 0 || one.Answer != 0 || one.Err == nil || one.End == 0 || one.End > two.Start {
		t.Errorf("the first try: %+v", one)
	}
	if two.Connected != 0 || two.Answer == 0 || two.Err != nil || two.Status != 200 || two.End != x.Record.Timings.End {
		t.Errorf("the second try: %+v", two)
	}
}
