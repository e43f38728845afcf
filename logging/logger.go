package logging

import (
	"sync/atomic"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Output is one logger: a format, a sink, and what of the traffic goes there.
type Output struct {
	Format Format
	Sink   Sink
	Level  Level // the least severe level that is taken
	// When has the bit of the condition under which lines are written, 0: always.
	When uint64
	// DontLogNull leaves out connections on which the client sent nothing, such as
	// the probes of other balancers.
	DontLogNull bool
	// DontLogNormal leaves out what went well.
	DontLogNormal bool
	// SeparateErrors raises failures, retries and 5xx answers from info to err.
	SeparateErrors bool
	// Sample thins out what went well; nil writes all of it.
	Sample *Sample
}

// Sample takes Num of each Den records, evenly spread.
type Sample struct {
	Num, Den uint64
	seen     atomic.Uint64
}

func (s *Sample) take() bool {
	n := s.seen.Add(1) % s.Den
	return (n+1)*s.Num/s.Den != n*s.Num/s.Den
}

// Log offers the record's line to the sink, unless it is filtered.
func (o *Output) Log(r *flow.Record) {
	if r.Silent || o.When != 0 && r.Matched&o.When == 0 || o.DontLogNull && r.BytesIn == 0 {
		return
	}
	bad := failed(r)
	if !bad && (o.DontLogNormal || o.Sample != nil && !o.Sample.take()) {
		return
	}
	level := Info
	if bad && o.SeparateErrors {
		level = Err
	}
	if level <= o.Level {
		o.Sink.Record(level, o.Format, r)
	}
}

// failed is HAProxy's notion of an error worth separating (configuration manual,
// "option log-separate-errors", "option dontlog-normal"): neither a clean end nor an
// answer of the proxy's own rules, or one that took retries, or a 5xx.
func failed(r *flow.Record) bool {
	switch r.Cause {
	case 0, '-', 'L':
	default:
		return true
	}
	return r.Retries > 0 || r.Redispatched || r.Status >= 500
}

// SiteLog is the log of one site: its loggers, and what must be known of an
// exchange for them.
type SiteLog struct {
	outputs []*Output
	silent  uint64 // conditions under which nothing is written
	// Captures is for Exchange.Capture before a site's first directive; nil if
	// nothing is logged.
	Captures *flow.Captures
	// When holds the directives with a matcher: whoever serves the site sets bit n
	// of Record.Matched if that of When[n] matches, before its first directive.
	When []*config.Node
}

// Log writes the record down wherever the site has it written.
func (s *SiteLog) Log(r *flow.Record) {
	if r.Matched&s.silent != 0 {
		return
	}
	for _, o := range s.outputs {
		o.Log(r)
	}
}
