// Package logging turns records of exchanges and streams into lines. Formats
// and sinks are its modules; a Logger joins one format to one sink.
package logging

import "github.com/loadstar-lb/loadstar/listener/flow"

// Logger writes one record down. It formats at once (the record's bytes are
// borrowed), allocates nothing, and never blocks its caller.
type Logger interface{ Log(r *flow.Record) }

// Level is a syslog severity (RFC 5424 §6.2.1).
type Level uint8

// The severities, from the gravest.
const (
	Emerg Level = iota
	Alert
	Crit
	Err
	Warning
	Notice
	Info
	Debug
)

// Sink takes finished lines, without a final newline. It never blocks: what it
// cannot take is dropped and counted. The line is borrowed.
type Sink interface {
	Write(level Level, line []byte)
	Close() error
}
