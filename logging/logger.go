package logging

import "github.com/loadstar-lb/loadstar/listener/flow"

// Output is one logger: a format, a sink, and what of the traffic goes there.
type Output struct {
	Format Format
	Sink   Sink
	Level  Level // the least severe level that is taken
	// DontLogNull leaves out connections on which the client sent nothing, such as
	// the probes of other balancers.
	DontLogNull bool
	// SeparateErrors raises failures, retries and 5xx answers from info to err.
	SeparateErrors bool
}

// Log offers the record's line to the sink, unless it is filtered.
func (o *Output) Log(r *flow.Record) {
	if r.Silent || o.DontLogNull && r.BytesIn == 0 {
		return
	}
	level := Info
	if o.SeparateErrors && failed(r) {
		level = Err
	}
	if level <= o.Level {
		o.Sink.Record(level, o.Format, r)
	}
}

// failed is HAProxy's notion of an error worth separating (configuration manual,
// "option log-separate-errors"): neither a clean end nor an answer of the proxy's
// own rules, or one that took retries, or a 5xx.
func failed(r *flow.Record) bool {
	switch r.Cause {
	case 0, '-', 'L':
	default:
		return true
	}
	return r.Retries > 0 || r.Redispatched || r.Status >= 500
}

// Tee gives one logger for several; Discard for none.
func Tee(outputs []*Output) Logger {
	switch len(outputs) {
	case 0:
		return Discard
	case 1:
		return outputs[0]
	default:
		return tee(outputs)
	}
}

type tee []*Output

func (t tee) Log(r *flow.Record) {
	for _, o := range t {
		o.Log(r)
	}
}
