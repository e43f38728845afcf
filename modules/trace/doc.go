// Package trace follows exchanges through Loadstar and tells a collector of them
// by OTLP over HTTP: a span for each exchange, and one below it for each try at a
// server. What a client says of its trace (W3C Trace Context) is gone on with: its
// trace is ours, and its word on sampling counts.
//
// Nothing of it is on the path unless `trace` is written; and what is there then
// waits for nobody. Spans of exchanges that have ended go through a bounded queue
// to one goroutine; what the collector does not take in time is dropped and
// counted.
package trace
