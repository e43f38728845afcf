// Package overlay holds what operators change while the process runs: servers
// drained, in maintenance, with another weight, added or removed. It lies over
// the configuration: a reload keeps it, it is listed, it can expire, and it is
// shown as the lines that would make it permanent.
//
// A change is tied to a pool, a server's name and its address, as everything is
// that outlives a configuration. Where the configuration in force has no such
// server the change rests: it is listed, and counts again when the server is
// back. Nothing is forgotten but what has expired or was taken back. (HAProxy
// forgets all such changes at a reload.)
//
// States, weights and limits act at once, on the upstream.Live of the server. A
// server that is added or removed makes a new generation of the same
// configuration, so that it is as atomic as a reload, and loses as little: the
// generation before it keeps a removed server until the last exchange, stream or
// tunnel on it has ended. That is why Remove takes a server with traffic, which
// HAProxy's `del server` refuses: its servers go with their structure.
package overlay

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Kind is what a change does.
type Kind string

// The kinds. Drain, Maint and Ready are HAProxy's administrative states.
const (
	Drain   Kind = "drain"   // no new clients; persistence still finds the server
	Maint   Kind = "maint"   // nobody; what is in progress ends
	Ready   Kind = "ready"   // takes back Drain and Maint, and `disabled` of the file
	Weight  Kind = "weight"  // Change.Weight in place of the configured one
	Maxconn Kind = "maxconn" // Change.Maxconn in place of the configured one
	Add     Kind = "add"     // a server that the file does not have
	Remove  Kind = "remove"  // a server that the file has, or that was added
	Clear   Kind = "clear"   // takes back all changes of the server (or pool, or all)
	Shut    Kind = "shut"    // ends what is in progress on the server; nothing stays
)

// Kinds gives all kinds, in the order in which they are documented.
func Kinds() []Kind { return []Kind{Drain, Maint, Ready, Weight, Maxconn, Add, Remove, Clear, Shut} }

// Change is one change of one server.
type Change struct {
	Kind   Kind   `json:"kind"`
	Pool   string `json:"pool,omitempty"`   // may be absent with Clear: everything
	Server string `json:"server,omitempty"` // may be absent with Clear: the whole pool
	// Address is that of the server: with Add the new one's (host:port or
	// unix//path); else it may be absent, and must be the server's if it is not.
	Address string `json:"address,omitempty"`
	Options string `json:"options,omitempty"` // with Add, as behind the address in the file
	Weight  string `json:"weight,omitempty"`  // "0" to "256", or "0%" to "1000%" of the configured one
	Maxconn *int   `json:"maxconn,omitempty"` // 0: no limit
	// Expires is when the change is taken back by itself; zero: never.
	Expires time.Time `json:"expires,omitzero"`
	By      string    `json:"by,omitempty"`  // who asked for it
	Why     string    `json:"why,omitempty"` // what for
	At      time.Time `json:"at,omitzero"`   // when; Do fills it in
	// If refuses the change unless Overlay.Version is that number; nil: whatever it is.
	If *uint64 `json:"-"`
}

// Control takes changes; *Overlay is one. It is what handlers get.
type Control interface {
	// Do validates a change and puts it in force: all of it, or nothing. Its
	// error is a *Refusal.
	Do(ctx context.Context, c Change) error
	// List gives the changes that are kept.
	List() []Listed
}

// aspect is what of a server a change is about; of one aspect the last change
// counts.
type aspect uint8

const (
	state aspect = iota
	weight
	maxconn
	presence
	enabled // in spite of `disabled` in the file
)

func (k Kind) aspect() aspect {
	switch k {
	case Weight:
		return weight
	case Maxconn:
		return maxconn
	case Add, Remove:
		return presence
	case Ready:
		return enabled
	}
	return state
}

// key gives the server that a change is tied to.
func (c *Change) key() upstream.Key {
	return upstream.Key{Pool: c.Pool, Name: c.Server, Address: c.Address}
}

// String tells the change in a line.
func (c *Change) String() string {
	s := string(c.Kind) + " " + c.Pool + "/" + c.Server
	switch c.Kind {
	case Weight:
		s += " " + c.Weight
	case Maxconn:
		s += fmt.Sprintf(" %d", *c.Maxconn)
	case Add:
		s += strings.TrimRight(" "+c.Address+" "+c.Options, " ")
	}
	return s
}

// maxPercent bounds a weight in percent.
const maxPercent = 1000

// ParseWeight reads "50" or "50%".
func ParseWeight(s string) (upstream.Weight, error) {
	digits, percent := strings.CutSuffix(s, "%")
	n, err := strconv.ParseUint(digits, 10, 16)
	limit := uint64(upstream.MaxWeight)
	if percent {
		limit = maxPercent
	}
	if err != nil || n > limit || strings.HasPrefix(digits, "+") {
		return upstream.Weight{}, fmt.Errorf("%q is no weight: write 0 to %d, or a part of the configured one as in 50%%", clip(s), upstream.MaxWeight)
	}
	return upstream.Weight{Set: true, Percent: percent, N: int(n)}, nil
}

// clip shortens what a client wrote, for messages.
func clip(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
