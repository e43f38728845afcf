package explain

import (
	"fmt"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/modules/pool"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// State is how a server is doing, as the running process says: what of a
// census.Server matters here.
type State struct {
	Pool    string `json:"pool"`
	Name    string `json:"name"`
	Address string `json:"address"`
	Up      bool   `json:"up"`     // not disabled, and no probe or agent says down
	Usable  bool   `json:"usable"` // takes part in balancing, or would as a backup
	Weight  int    `json:"weight"`
	Share   int    `json:"share"` // of the traffic now: weight, slow start and agent
	Active  int64  `json:"active"`
	Queued  int64  `json:"queued"`
	Total   int64  `json:"total"`
	Why     string `json:"why,omitempty"`
}

// Assume has servers be as they are in the running process. States of servers
// that this configuration does not have are passed over; n counts the others.
func (e *Explainer) Assume(states []State) (n int) {
	changed := map[*pool.Pool]bool{}
	for _, st := range states {
		p := e.graph.Pools[st.Pool]
		if p == nil {
			continue
		}
		for _, s := range p.Servers() {
			if s.Name != st.Name || s.Address != st.Address {
				continue
			}
			e.states[s.Pool+"/"+s.Name] = st
			e.set(s, st.Usable || st.Up && s.Weight == 0)
			changed[p] = true
			n++
		}
	}
	for p := range changed {
		p.Refresh()
	}
	return n
}

// Down has a server be down, named NAME or POOL/NAME; undo ends it. Its error
// suggests a name that is near.
func (e *Explainer) Down(name string) (undo func(), err error) {
	var names []string
	var found []*upstream.Server
	for _, cfg := range e.cfg.Pools {
		p := e.graph.Pools[cfg.Name]
		for _, s := range p.Servers() {
			full := s.Pool + "/" + s.Name
			if full == name || s.Name == name {
				found = append(found, s)
			}
			names = append(names, full, s.Name)
		}
	}
	if len(found) == 0 {
		return nil, unknown("server", name, names)
	}
	set := func(up bool) {
		for _, s := range found {
			e.set(s, up)
			e.graph.Pools[s.Pool].Refresh()
		}
	}
	set(false)
	return func() { set(true) }, nil
}

func (e *Explainer) set(s *upstream.Server, up bool) {
	v := upstream.Down
	if up {
		v = upstream.Up
	}
	s.Live.SetVerdict(v, "")
}

// share is a server's part of the traffic, relative to the others'.
func (e *Explainer) share(s *upstream.Server) int {
	if st, ok := e.states[s.Pool+"/"+s.Name]; ok {
		return st.Share
	}
	return s.Share()
}

func unknown(what, name string, names []string) error {
	text := fmt.Sprintf("there is no %s %q", what, name)
	if near := diag.Nearest(name, names); near != "" {
		text += fmt.Sprintf("; did you mean %q?", near)
	} else if len(names) > 0 && len(names) <= 8 {
		text += "; there are " + strings.Join(names, ", ")
	}
	return fmt.Errorf("%s", text)
}
