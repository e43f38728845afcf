// Package census describes what is running, as values: sites, pools and servers
// with their states, limits and counters, certificates, log sinks, and the
// process. Whoever shows or exports any of it (pages, metrics, the admin
// endpoint) asks a Source for a Census and reads the same.
//
// A Census is made anew each time and belongs to who asked: 10,000 servers take
// some milliseconds. What changes with every exchange stands in it as plain
// numbers; histograms and histories are read where they are kept, through Traffic
// and Live.
package census

import (
	"time"

	"github.com/loadstar-lb/loadstar/modules/measure"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Source gives the census of the running process.
type Source interface{ Census() *Census }

// Nothing is the Source of a configuration that is only checked.
type Nothing struct{}

// Census gives an empty one.
func (Nothing) Census() *Census { return &Census{} }

// Census is what is running. Sites are in the order of the configuration, pools
// and certificates in the order of their names, servers in the order of their
// pool.
type Census struct {
	Process      Process       `json:"process"`
	Sites        []Site        `json:"sites"`
	Pools        []Pool        `json:"pools"`
	Certificates []Certificate `json:"certificates"`
	Sinks        []Sink        `json:"sinks"`
	Traces       []Sink        `json:"traces"` // collectors; their lines are spans
}

// Process is the process itself.
type Process struct {
	Version     string      `json:"version"`
	PID         int         `json:"pid"`
	Started     time.Time   `json:"started"`
	Generation  uint64      `json:"generation"` // of the configuration in force, 0: none
	Loaded      time.Time   `json:"loaded"`     // when it came into force
	Draining    int         `json:"draining"`   // older generations that still serve somebody
	Listening   []string    `json:"listening"`
	Connections Connections `json:"connections"`
	Loads       Loads       `json:"loads"`
	Panics      uint64      `json:"panics"` // exchanges that a fault of ours ended
	At          int64       `json:"-"`      // flow.Now of the census
}

// Connections are the clients' connections to the process.
type Connections struct {
	Open     int64  `json:"open"`
	Max      int64  `json:"max"`      // open at a time, so far
	Limit    int    `json:"limit"`    // 0: none
	Accepted uint64 `json:"accepted"` // so far
}

// Loads tells what became of attempts to load a configuration, the first one
// included.
type Loads struct {
	Good   uint64        `json:"good"`
	Failed uint64        `json:"failed"`
	Last   time.Time     `json:"last"`    // the last attempt
	LastOK bool          `json:"last_ok"` // whether it came into force
	Took   time.Duration `json:"took"`    // of the last attempt, nanoseconds
}

// Site is one site.
type Site struct {
	Name      string   `json:"name"`
	Addresses []string `json:"addresses"`
	TCP       bool     `json:"tcp"`     // it passes streams
	Limit     int64    `json:"limit"`   // its maxconn, 0: none
	Active    int64    `json:"active"`  // exchanges or streams in progress
	Waiting   int64    `json:"waiting"` // for a turn

	measure.Counts
	Rates
	Traffic *measure.Traffic `json:"-"` // histograms, peaks, history
}

// Rates are exchanges or streams that ended a second.
type Rates struct {
	Rate    float64 `json:"rate"` // now
	RateMax float64 `json:"rate_max"`
}

// RatesOf gives the rates of a Traffic at the flow.Now of now.
func RatesOf(t *measure.Traffic, now int64) (r Rates) {
	r.Rate, r.RateMax = t.Rate(now)
	return r
}

// Pool is one pool.
type Pool struct {
	Name      string   `json:"name"`
	TCP       bool     `json:"tcp"`        // only streams come to it
	Balance   string   `json:"balance"`    // the algorithm
	Usable    int      `json:"usable"`     // servers that may be chosen now
	Backups   int      `json:"backups"`    // usable backups behind them
	Active    int64    `json:"active"`     // exchanges or streams in progress
	Queued    int64    `json:"queued"`     // who wait for a slot
	QueueSize int64    `json:"queue_size"` // how many may wait, 0: no limit
	Servers   []Server `json:"servers"`

	Tries
	measure.Counts
	Rates
	Live *upstream.Live `json:"-"` // Traffic: histograms, peaks, history
}

// Tries counts tries at servers, of which an exchange may take several.
type Tries struct {
	Total    int64 `json:"total"`           // begun
	Connects int64 `json:"connect_errors"`  // that failed to connect
	Answers  int64 `json:"response_errors"` // whose answer was late, broken or missing
}

// TriesOf reads them of a server's or a pool's Live.
func TriesOf(l *upstream.Live) Tries {
	return Tries{Total: l.Total.Load(), Connects: l.Failed.Load(), Answers: l.Errors.Load()}
}

// Certificate is one that is shown to clients.
type Certificate struct {
	Name   string    `json:"name"`   // the first of its names
	Names  []string  `json:"names"`  // all of them
	Serial string    `json:"serial"` // hexadecimal
	Until  time.Time `json:"until"`  // it expires; zero: it is still to be issued
	// Problem says why it is not issued, or not renewed.
	Problem string `json:"problem,omitempty"`
}

// Sink is where logs go. Delivered + Dropped + Held is what was offered.
type Sink struct {
	Name      string `json:"name"`
	Delivered uint64 `json:"delivered"` // lines
	Dropped   uint64 `json:"dropped"`
	Held      uint64 `json:"held"`
}
