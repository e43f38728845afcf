// Package logging turns records of exchanges and streams into lines, and takes
// lines to where they are kept. Formats (logging/httplog) and sinks
// (logging/syslog, logging/file) are its modules; an Output joins one format to
// one sink, and a SiteLog is all outputs of a site.
//
// Between a caller and its sink stands a bounded ring (Queue): callers format
// straight into a slot of it, allocate nothing and never wait; one goroutine a
// sink takes the lines on. A sink that is slow or dead costs lines, never time,
// and every line lost is counted: delivered + dropped = offered.
//
// What a sink is, and what it keeps over a reload, is named by its Key; the
// level and the format belong to the Logger and are made anew.
package logging

import "github.com/loadstar-lb/loadstar/listener/flow"

// Logger writes one record down. It formats at once (the record's bytes are
// borrowed), allocates nothing, and never blocks its caller.
type Logger interface{ Log(r *flow.Record) }

// Format appends the line of one record, without a final newline, to dst. It
// keeps nothing of the record and puts no control byte into the line, so that one
// record is one line whatever a client sent.
type Format interface {
	Append(dst []byte, r *flow.Record) []byte
}

// Sink takes finished lines, without a final newline. It never blocks: what it
// cannot take is dropped and counted. Lines and records are borrowed.
type Sink interface {
	// Write offers a line. Bytes that could break it (controls) are the
	// caller's to escape; see AppendEscaped.
	Write(level Level, line []byte)
	// Record offers the line that f makes of r.
	Record(level Level, f Format, r *flow.Record)
	// Reopen has the sink open its file anew before the next line; it
	// returns at once. Sinks without a file ignore it.
	Reopen()
	// Stats tells what became of the lines so far.
	Stats() Stats
	// Close refuses further lines, delivers those it holds for at most a
	// second, and tells if some had to be given up.
	Close() error
}

// Stats counts lines. Once the sink is closed, Held is 0 and Delivered + Dropped
// is what was offered.
type Stats struct {
	Delivered uint64 // handed to the file or socket without an error
	Dropped   uint64 // lost: the ring was full, or the sink was closed first
	Held      uint64 // in the ring now
}

// Key names a sink by all that makes it what it is, so that two directives, or
// the same directive before and after a reload, share one.
type Key struct {
	Kind     string // the variant: syslog, file, stdout, stderr
	Target   string // address or absolute file name, "" where the kind says it all
	Facility string // syslog only
	Tag      string // syslog only
	// Options are the further ones that make the sink what it is, as its module
	// writes them.
	Options string
}

// String gives the sink as messages name it.
func (k Key) String() string {
	if k.Target == "" {
		return k.Kind
	}
	return k.Kind + " " + k.Target
}
