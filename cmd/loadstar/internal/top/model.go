// Package top is the screen of `loadstar top`: what is shown, and what keys do. It
// draws lines and reads keys as values; the terminal is in tty.go.
package top

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/loadstar-lb/loadstar/modules/census"
)

// Action is what a key asks to be done at a server.
type Action struct {
	Do           string // drain, maint, ready or weight
	Pool, Server string
	Weight       string
}

// Model is the state of the screen.
type Model struct {
	Census  *census.Census // the newest; nil before the first
	At      time.Time      // when it was taken
	Err     error          // why there is no newer one
	Message string         // of the last action

	order  int
	filter string
	mode   mode
	input  string
	chosen string // pool and server
	top    int    // the first row that is shown
	page   int    // how many fit, of the last View
}

// mode is what keys are for.
type mode uint8

const (
	browsing mode = iota
	filtering
	weighing
)

// orders are how servers may be sorted within their pools.
var orders = []struct {
	name string
	by   func(a, b *census.Server) int
}{
	{"file", func(a, b *census.Server) int { return 0 }},
	{"name", func(a, b *census.Server) int { return cmp.Compare(a.Name, b.Name) }},
	{"rate", func(a, b *census.Server) int { return cmp.Compare(b.Rate, a.Rate) }},
	{"active", func(a, b *census.Server) int { return cmp.Compare(b.Active, a.Active) }},
	{"state", func(a, b *census.Server) int { return cmp.Compare(rank(b.State), rank(a.State)) }},
}

// rank puts first what wants attention.
func rank(s census.State) int {
	return slices.Index([]census.State{census.Up, census.Drain, census.Maint, census.Ejected, census.Down}, s)
}

// row is a line of the list: a pool, or one of its servers.
type row struct {
	pool   *census.Pool
	server *census.Server // nil: the pool itself
}

func (r row) key() string {
	if r.server == nil {
		return ""
	}
	return r.pool.Name + "/" + r.server.Name
}

// rows gives what is to be listed: pools, each before its servers, without those
// that the filter leaves out.
func (m *Model) rows() []row {
	if m.Census == nil {
		return nil
	}
	var out []row
	for i := range m.Census.Pools {
		p := &m.Census.Pools[i]
		var servers []*census.Server
		for k := range p.Servers {
			if s := &p.Servers[k]; m.wants(p, s) {
				servers = append(servers, s)
			}
		}
		if len(servers) == 0 && (m.filter != "" || len(p.Servers) > 0) {
			continue
		}
		slices.SortStableFunc(servers, orders[m.order].by)
		out = append(out, row{pool: p})
		for _, s := range servers {
			out = append(out, row{p, s})
		}
	}
	return out
}

func (m *Model) wants(p *census.Pool, s *census.Server) bool {
	if m.filter == "" {
		return true
	}
	f := strings.ToLower(m.filter)
	return strings.Contains(strings.ToLower(p.Name+"/"+s.Name+" "+s.Address+" "+string(s.State)), f)
}

// selected gives the row that keys act on: the chosen server, or the first.
func (m *Model) selected(rows []row) int {
	first := -1
	for i := range rows {
		if rows[i].server == nil {
			continue
		}
		if rows[i].key() == m.chosen {
			return i
		}
		if first < 0 {
			first = i
		}
	}
	return first
}

// move chooses another server, n rows of servers away.
func (m *Model) move(n int) {
	rows := m.rows()
	at := m.selected(rows)
	if at < 0 {
		return
	}
	step := 1
	if n < 0 {
		step = -1
	}
	for i := at; n != 0; {
		if i += step; i < 0 || i >= len(rows) {
			break
		}
		if rows[i].server != nil {
			at, n = i, n-step
		}
	}
	m.chosen = rows[at].key()
}

// Key obeys one key; quit ends the screen, do is to be done.
func (m *Model) Key(k Key) (do *Action, quit bool) {
	switch m.mode {
	case filtering, weighing:
		return m.write(k), k.Name == "ctrl-c"
	}
	m.Message = ""
	switch k.Name {
	case "up":
		m.move(-1)
	case "down":
		m.move(1)
	case "pgup":
		m.move(-max(m.page-1, 1))
	case "pgdn":
		m.move(max(m.page-1, 1))
	case "home":
		m.move(-1 << 30)
	case "end":
		m.move(1 << 30)
	case "esc":
		m.filter = ""
	case "ctrl-c":
		return nil, true
	}
	switch k.Rune {
	case 'q':
		return nil, true
	case 'k':
		m.move(-1)
	case 'j':
		m.move(1)
	case 's':
		m.order = (m.order + 1) % len(orders)
	case '/':
		m.mode, m.input = filtering, m.filter
	case 'd':
		return m.act("drain"), false
	case 'm':
		return m.act("maint"), false
	case 'r':
		return m.act("ready"), false
	case 'w':
		if m.act("weight") != nil {
			m.mode, m.input = weighing, ""
		}
	}
	return nil, false
}

// maxInput bounds what is typed.
const maxInput = 64

// write takes a key that belongs to what is being typed.
func (m *Model) write(k Key) (do *Action) {
	switch k.Name {
	case "esc":
		if m.mode == filtering {
			m.filter = ""
		}
		m.mode = browsing
	case "backspace":
		_, n := utf8.DecodeLastRuneInString(m.input)
		m.input = m.input[:len(m.input)-n]
	case "enter":
		if m.mode == weighing && m.input != "" {
			if do = m.act("weight"); do != nil {
				do.Weight = m.input
			}
		}
		m.mode = browsing
	case "":
		if len(m.input) < maxInput {
			m.input += string(k.Rune)
		}
	}
	if m.mode == filtering {
		m.filter = m.input
	}
	return do
}

// act names an action at the chosen server, nil if there is none.
func (m *Model) act(what string) *Action {
	rows := m.rows()
	at := m.selected(rows)
	if at < 0 {
		return nil
	}
	m.chosen = rows[at].key()
	return &Action{Do: what, Pool: rows[at].pool.Name, Server: rows[at].server.Name}
}
