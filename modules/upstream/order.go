package upstream

import (
	"fmt"
	"strings"
	"sync/atomic"
)

// Order is what an operator has said of a server while the process runs. It goes
// before the configuration and before an agent's advice, and is void as a whole
// when the next Order comes. The zero Order says nothing.
//
// The states are HAProxy's (management guide, "set server"): Drain takes no new
// clients, but persistence still finds the server; Maint takes nobody; what is
// in progress ends in both. Ready only lifts what an agent said last: an
// operator's word is void once it is taken back.
type Order struct {
	Admin   Admin
	Weight  Weight
	Maxconn int    // plus one; 0: as configured
	Why     string // who and what for, for the log; printable
}

// Weight is a weight as ordered: the zero value is as configured.
type Weight struct {
	Set     bool
	Percent bool // N is a part of the configured weight, not a weight
	N       int  // 0–256, or 0–1000 percent
}

// MaxWeight is the largest weight that a server can have.
const MaxWeight = 256

// Of gives the weight that is left of the configured one: a share above 0 is at
// least 1, and nothing is more than MaxWeight.
func (w Weight) Of(configured int) int {
	switch {
	case !w.Set:
		return configured
	case !w.Percent:
		return min(w.N, MaxWeight)
	case configured == 0 || w.N == 0:
		return 0
	}
	return min(max(1, configured*w.N/100), MaxWeight)
}

// String gives "50" or "50%", "" for none.
func (w Weight) String() string {
	switch {
	case !w.Set:
		return ""
	case w.Percent:
		return fmt.Sprintf("%d%%", w.N)
	}
	return fmt.Sprint(w.N)
}

// word packs a weight into what an atomic holds, 0 for none.
func (w Weight) word() int32 {
	switch {
	case !w.Set:
		return 0
	case w.Percent:
		return -int32(w.N) - 1
	}
	return int32(w.N) + 1
}

func weightOf(word int32) Weight {
	switch {
	case word == 0:
		return Weight{}
	case word < 0:
		return Weight{Set: true, Percent: true, N: int(-word - 1)}
	}
	return Weight{Set: true, N: int(word - 1)}
}

// orders is the Order in force.
type orders struct {
	admin   atomic.Int32
	weight  atomic.Int32
	maxconn atomic.Int32 // plus one
}

// limit gives the limit that the order leaves; 0 is none, as in Server.Maxconn.
func (o *orders) limit(maxconn int) int {
	if n := int(o.maxconn.Load()); n != 0 {
		return n - 1
	}
	return maxconn
}

// Order puts an operator's word in force, in place of the last one, and tells
// the subscribers if anything changed.
func (l *Live) Order(o Order) (changed bool) {
	l.mu.Lock()
	var said []string
	before := max(Admin(l.orders.admin.Swap(int32(o.Admin))), Ready)
	if o.Admin == Ready && l.agent.admin.Swap(0) > int32(Ready) && before == Ready {
		said = append(said, "is READY (its agent's word is void)")
	}
	switch is := max(o.Admin, Ready); {
	case is == before:
	case is == Maint:
		said = append(said, "is going DOWN for maintenance")
	case is == Drain:
		said = append(said, "enters drain state")
	case before == Maint:
		said = append(said, "is READY (leaving maintenance)")
	default:
		said = append(said, "is READY (leaving drain)")
	}
	if w := o.Weight.word(); l.orders.weight.Swap(w) != w {
		text := "has the weight " + o.Weight.String()
		if !o.Weight.Set {
			text = "has its configured weight"
		}
		said = append(said, text)
	}
	if n := int32(o.Maxconn); l.orders.maxconn.Swap(n) != n {
		text := fmt.Sprintf("has the maxconn %d", n-1)
		if n == 0 {
			text = "has its configured maxconn"
		}
		said = append(said, text)
	}
	l.mu.Unlock()
	if len(said) == 0 {
		return false
	}
	why := strings.Join(said, ", ")
	if o.Why != "" {
		why += " (" + o.Why + ")"
	}
	l.notify(Change{Kind: Ordered, Why: why})
	return true
}

// Ordered gives the Order in force, without its Why.
func (l *Live) Ordered() Order {
	return Order{
		Admin: Admin(l.orders.admin.Load()), Weight: weightOf(l.orders.weight.Load()), Maxconn: int(l.orders.maxconn.Load()),
	}
}

// WeightNow is the weight in force: what an operator ordered, or else what is
// configured. An agent's advice and a slow start are in Share.
func (s *Server) WeightNow() int {
	w := s.Live.orders.weight.Load()
	if w == 0 {
		return s.Weight
	}
	return weightOf(w).Of(s.Weight)
}

// MaxconnNow is the limit in force, without what slow start and minconn make of
// it; 0 is none.
func (s *Server) MaxconnNow() int {
	l := s.Live
	if l.orders.maxconn.Load() != 0 {
		return l.orders.limit(s.Maxconn)
	}
	return l.agent.limit(s.Maxconn)
}
