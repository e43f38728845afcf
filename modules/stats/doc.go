// Package stats shows what is going on: as one self-contained HTML page, which
// needs neither network nor JavaScript, as CSV and JSON with the columns of
// HAProxy's statistics, and as events that keep an open page up to date.
//
// A Snapshot is plain data. Whatever a client or a server could have chosen is
// escaped where it is written, each form in its own way.
package stats
