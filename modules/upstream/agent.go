package upstream

import (
	"fmt"
	"strings"
	"sync/atomic"
)

// Advice is what an agent says of its server; what it does not speak of stays as
// it was.
type Advice struct {
	Weight  int // percent of the configured weight; 0 drains, NoAdvice
	Maxconn int // in place of the configured limit, NoAdvice
	Admin   Admin
	State   AgentState
	Word    string // what the agent called its state
	Why     string // its reason; printable
}

// NoAdvice stands for a number that the agent did not give.
const NoAdvice = -1

// Admin is an administrative state.
type Admin uint8

// The administrative states. 0: the agent did not speak of it.
const (
	Ready Admin = iota + 1
	Drain
	Maint
)

// AgentState is what an agent says of the service.
type AgentState uint8

// The states. 0: the agent did not speak of it.
const (
	AgentUp AgentState = iota + 1
	AgentDown
)

// agent is what was advised last. The numbers are kept plus one, so that the
// zero value is no advice.
type agent struct {
	weight  atomic.Int32
	maxconn atomic.Int32
	admin   atomic.Int32
	state   atomic.Int32
	owner   any // guarded by Live.mu
}

// OwnAgent names whose advice counts.
func (l *Live) OwnAgent(owner any) {
	l.mu.Lock()
	l.agent.owner = owner
	l.mu.Unlock()
}

// AgentOwner gives whom OwnAgent named last.
func (l *Live) AgentOwner() any {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.agent.owner
}

// Advise takes advice, from whom OwnAgent named last only, and tells the
// subscribers if anything changed.
func (l *Live) Advise(by any, a Advice) (changed bool) {
	l.mu.Lock()
	if l.agent.owner != by {
		l.mu.Unlock()
		return false
	}
	g := &l.agent
	var said []string
	if a.State != 0 && a.State != max(AgentState(g.state.Load()), AgentUp) {
		g.state.Store(int32(a.State))
		word := a.Word
		if a.State == AgentUp {
			word = "up"
		}
		said = append(said, word)
	}
	if a.Admin != 0 && a.Admin != max(Admin(g.admin.Load()), Ready) {
		g.admin.Store(int32(a.Admin))
		said = append(said, [...]string{"", "ready", "drain", "maint"}[a.Admin])
	}
	if n := int32(a.Weight) + 1; a.Weight >= 0 && n != g.weight.Load() && (n != 101 || g.weight.Load() != 0) {
		g.weight.Store(n)
		said = append(said, fmt.Sprintf("weight %d%%", a.Weight))
	}
	if n := int32(a.Maxconn) + 1; a.Maxconn >= 0 && n != g.maxconn.Load() {
		g.maxconn.Store(n)
		said = append(said, fmt.Sprintf("maxconn %d", a.Maxconn))
	}
	l.mu.Unlock()
	if len(said) == 0 {
		return false
	}
	why := strings.Join(said, ", ")
	if a.Why != "" {
		why += " (" + a.Why + ")"
	}
	l.notify(Change{Kind: Advised, Why: why})
	return true
}

// Unadvise forgets all advice, in silence, and names a new owner: what an agent
// said is void once the configuration has none.
func (l *Live) Unadvise(owner any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.agent.owner = owner
	l.agent.weight.Store(0)
	l.agent.maxconn.Store(0)
	l.agent.admin.Store(0)
	l.agent.state.Store(0)
}

// Barred gives the operator's and the agent's word on the whole: whether it takes
// the server away, and whether it drains it.
func (l *Live) Barred() (down, drained bool) {
	admin := max(Admin(l.agent.admin.Load()), Admin(l.orders.admin.Load()))
	down = admin == Maint || AgentState(l.agent.state.Load()) == AgentDown
	return down, admin == Drain || l.agent.weight.Load() == 1
}

// part gives the share of a weight that the agent leaves.
func (g *agent) part(weight int) int {
	if p := int(g.weight.Load()); p != 0 && weight > 0 {
		return max(min(1, p-1), weight*(p-1)/100)
	}
	return weight
}

// limit gives the limit that the agent leaves; 0 is none, as in Server.Maxconn.
func (g *agent) limit(maxconn int) int {
	if n := int(g.maxconn.Load()); n != 0 {
		return n - 1
	}
	return maxconn
}
