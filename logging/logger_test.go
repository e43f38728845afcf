package logging

import (
	"errors"
	"testing"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// list is a sink that keeps what it is offered.
type list struct {
	levels  []Level
	lines   []string
	formats []Format
}

func (l *list) Write(level Level, line []byte) {
	l.levels, l.lines = append(l.levels, level), append(l.lines, string(line))
}

func (l *list) Record(level Level, f Format, r *flow.Record) {
	l.formats = append(l.formats, f)
	l.Write(level, f.Append(nil, r))
}
func (l *list) Reopen()      {}
func (l *list) Stats() Stats { return Stats{} }
func (l *list) Close() error { return nil }

func TestOutputFilters(t *testing.T) {
	ok := flow.Record{BytesIn: 1, Status: 200}
	for _, c := range []struct {
		name   string
		output Output
		change func(*flow.Record)
		want   Level
		none   bool
	}{
		{"traffic is info", Output{Level: Info}, nil, Info, false},
		{"debug takes info", Output{Level: Debug}, nil, Info, false},
		{"notice does not", Output{Level: Notice}, nil, 0, true},
		{"silent", Output{Level: Debug}, func(r *flow.Record) { r.Silent = true }, 0, true},
		{"null", Output{Level: Info}, func(r *flow.Record) { r.BytesIn = 0 }, Info, false},
		{"null left out", Output{Level: Info, DontLogNull: true}, func(r *flow.Record) { r.BytesIn = 0 }, 0, true},
		{"not null", Output{Level: Info, DontLogNull: true}, nil, Info, false},
		{"separate, good", Output{Level: Info, SeparateErrors: true}, nil, Info, false},
		{"separate, good, at err", Output{Level: Err, SeparateErrors: true}, nil, 0, true},
		{"separate, 5xx", Output{Level: Err, SeparateErrors: true}, func(r *flow.Record) { r.Status = 500 }, Err, false},
		{"separate, retry", Output{Level: Err, SeparateErrors: true}, func(r *flow.Record) { r.Retries = 1 }, Err, false},
		{"separate, server left", Output{Level: Err, SeparateErrors: true}, func(r *flow.Record) { r.Cause = 'S' }, Err, false},
		{"separate, own answer", Output{Level: Err, SeparateErrors: true}, func(r *flow.Record) { r.Cause = 'L' }, 0, true},
		{"normal left out", Output{Level: Info, DontLogNormal: true}, nil, 0, true},
		{"not normal", Output{Level: Info, DontLogNormal: true}, func(r *flow.Record) { r.Status = 502 }, Info, false},
		{"not separate, 5xx", Output{Level: Err}, func(r *flow.Record) { r.Status = 500 }, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, r := &list{}, ok
			if c.change != nil {
				c.change(&r)
			}
			c.output.Sink, c.output.Format = s, fixedFormat("x")
			c.output.Log(&r)
			switch {
			case c.none != (len(s.levels) == 0):
				t.Errorf("%d lines", len(s.levels))
			case !c.none && s.levels[0] != c.want:
				t.Errorf("level %v, want %v", s.levels[0], c.want)
			}
		})
	}
}

// TestConditions: an output with a condition takes only what matches it, a silent
// condition keeps everything away.
func TestConditions(t *testing.T) {
	all, api := &list{}, &list{}
	s := &SiteLog{silent: 2, outputs: []*Output{
		{Level: Info, Sink: all, Format: fixedFormat("x")},
		{Level: Info, Sink: api, Format: fixedFormat("x"), When: 1},
	}}
	for _, matched := range []uint64{0, 1, 2, 3, 4} {
		s.Log(&flow.Record{Matched: matched})
	}
	if len(all.lines) != 3 || len(api.lines) != 1 {
		t.Errorf("%d and %d lines, want 3 and 1", len(all.lines), len(api.lines))
	}
	(&SiteLog{}).Log(&flow.Record{})
}

// TestSample: exactly the part asked for, evenly, and every failure.
func TestSample(t *testing.T) {
	for _, c := range []struct {
		text string
		want int // of 1000
	}{{"1/100", 10}, {"5%", 50}, {"2/3", 667}, {"1/1", 1000}, {"100%", 1000}} {
		p, err := parseSampling(c.text)
		if err != nil {
			t.Fatal(err)
		}
		s := &list{}
		o := Output{Level: Info, Sink: s, Format: fixedFormat("x"), Sample: p.sample()}
		for range 1000 {
			o.Log(&flow.Record{Status: 200})
		}
		if n := len(s.lines); n < c.want-1 || n > c.want {
			t.Errorf("%s wrote %d of 1000", c.text, n)
		}
		before := len(s.lines)
		for range 10 {
			o.Log(&flow.Record{Status: 503})
		}
		if len(s.lines) != before+10 {
			t.Errorf("%s thinned out failures", c.text)
		}
	}
	for _, text := range []string{"", "0/1", "2/1", "x", "1/0", "101%", "0%", "-1/2", "1/2/3", "1"} {
		if p, err := parseSampling(text); err == nil {
			t.Errorf("%q is %v", text, p)
		}
	}
}

func TestLevels(t *testing.T) {
	for l := Emerg; l <= Debug; l++ {
		if got, ok := ParseLevel(l.String()); !ok || got != l {
			t.Errorf("%v reads as %v, %v", l, got, ok)
		}
	}
	if l, ok := ParseLevel("error"); ok || l != 0 {
		t.Errorf("error is %v, %v", l, ok)
	}
	if Level(9).String() != "level?" {
		t.Error("a level out of range has a name")
	}
}

var errOpen = errors.New("permission denied")
