package top

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/modules/census"
)

// Looks of lines; a terminal without colours shows all of them differently, too:
// the state is a word.
const (
	plain    = ""
	bold     = "\x1b[1m"
	faint    = "\x1b[2m"
	inverse  = "\x1b[7m"
	red      = "\x1b[31m"
	yellow   = "\x1b[33m"
	reset    = "\x1b[0m"
	maxSites = 6
)

// Line is a line of the screen: text without control characters, and its look.
type Line struct{ Text, Look string }

// View gives the lines of a screen of a size, as many as it is high.
func (m *Model) View(width, height int) []Line {
	head, rows := m.head(), m.rows()
	foot := Line{m.foot(), faint}
	if m.mode != browsing || m.Message != "" || m.Err != nil {
		foot.Look = bold
	}
	room := max(height-len(head)-2, 1) // the list has a head and the screen a foot
	m.page = room
	at := m.selected(rows)
	m.scroll(at, len(rows), room)
	head = append(head, Line{columns(servers), bold})
	out := head
	for i := m.top; i < min(m.top+room, len(rows)); i++ {
		out = append(out, rowLine(rows[i], i == at))
	}
	for len(out) < height-1 {
		out = append(out, Line{})
	}
	out = append(out[:max(min(len(out), height-1), 0)], foot)
	for i := range out {
		out[i].Text = fit(out[i].Text, width)
	}
	return out
}

// scroll has the chosen row stand among those that are shown, with its pool's own
// line if there is room.
func (m *Model) scroll(at, all, room int) {
	m.top = min(m.top, max(all-room, 0))
	switch {
	case at < 0:
		m.top = 0
	case at-1 < m.top:
		m.top = max(at-1, 0)
	case at >= m.top+room:
		m.top = at - room + 1
	}
}

// Once gives everything, for a pipe.
func (m *Model) Once() []string {
	var out []string
	for _, l := range append(m.head(), Line{columns(servers), bold}) {
		out = append(out, strings.TrimRight(l.Text, " "))
	}
	for _, r := range m.rows() {
		out = append(out, strings.TrimRight(rowLine(r, false).Text, " "))
	}
	return out
}

// head is what stands above the list.
func (m *Model) head() []Line {
	c := m.Census
	if c == nil {
		return []Line{{"loadstar: no answer yet", bold}, {}}
	}
	p := &c.Process
	limit := ""
	if p.Connections.Limit > 0 {
		limit = fmt.Sprintf("/%d", p.Connections.Limit)
	}
	total := 0.0
	for i := range c.Sites {
		total += c.Sites[i].Rate
	}
	out := []Line{{fmt.Sprintf("loadstar %s  up %s  generation %d  connections %d%s  rate %s/s",
		clean(p.Version), span(m.At.Sub(p.Started)), p.Generation, p.Connections.Open, limit, rate(total)), bold},
		{m.tally(), plain}, {}, {columns(sites), bold}}
	for i := range c.Sites {
		if i == maxSites && len(c.Sites) > maxSites {
			out = append(out, Line{fmt.Sprintf("  … and %d more sites", len(c.Sites)-maxSites), faint})
			break
		}
		s := &c.Sites[i]
		out = append(out, Line{join(sites, []string{s.Name, strconv.FormatInt(s.Active, 10), strconv.FormatInt(s.Waiting, 10), rate(s.Rate), rate(s.RateMax)}), plain})
	}
	return append(out, Line{})
}

// tally counts servers by state.
func (m *Model) tally() string {
	counts := map[census.State]int{}
	for i := range m.Census.Pools {
		for k := range m.Census.Pools[i].Servers {
			counts[m.Census.Pools[i].Servers[k].State]++
		}
	}
	text := fmt.Sprintf("%d sites, %d pools; servers:", len(m.Census.Sites), len(m.Census.Pools))
	for _, s := range census.States {
		if n := counts[s]; n > 0 {
			text += fmt.Sprintf(" %d %s", n, s)
		}
	}
	return text + fmt.Sprintf("; sorted by %s", orders[m.order].name)
}

// foot is the last line: what is typed, what happened, or which keys there are.
func (m *Model) foot() string {
	switch {
	case m.mode == filtering:
		return "filter: " + m.input + "_"
	case m.mode == weighing:
		return "weight of " + clean(m.chosen) + " (50, or 50%): " + m.input + "_"
	case m.Message != "":
		return clean(m.Message)
	case m.Err != nil:
		return "not current: " + clean(m.Err.Error())
	}
	text := "arrows move  d drain  m maint  r ready  w weight  s sort  / filter  q quit"
	if m.filter != "" {
		text = "filter " + m.filter + " (esc ends it)  " + text
	}
	return text
}

// column is one of a list; a negative width is aligned to the right.
type column struct {
	title string
	width int
}

var (
	sites   = []column{{"SITE", 34}, {"ACTIVE", -8}, {"WAITING", -8}, {"RATE/S", -8}, {"MAX", -8}}
	servers = []column{{"POOL/SERVER", 24}, {"STATE", 10}, {"WEIGHT", -6}, {"ACTIVE", -7}, {"LIMIT", -6}, {"QUEUED", -7}, {"RATE/S", -7},
		{"TOTAL", -9}, {"ERRORS", -6}, {"RETRIES", -7}, {" CHECK", 30}}
)

func columns(all []column) string {
	titles := make([]string, len(all))
	for i, c := range all {
		titles[i] = c.title
	}
	return join(all, titles)
}

// join sets cells below each other.
func join(all []column, cells []string) string {
	var b strings.Builder
	for i, c := range all {
		w := c.width
		if w < 0 {
			w = -w
		}
		cell := fit(clean(cells[i]), w)
		pad := strings.Repeat(" ", w-diag.Width(cell))
		if c.width < 0 {
			cell = pad + cell
		} else if i < len(all)-1 {
			cell += pad
		}
		b.WriteString(cell)
		if i < len(all)-1 {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

func rowLine(r row, chosen bool) Line {
	if r.server == nil {
		p := r.pool
		return Line{join(servers, []string{p.Name, p.Balance, "", num(p.Active), "", num(p.Queued), rate(p.Rate), num(p.Total),
			num(p.Connects + p.Answers), num(int64(p.Retries)), fmt.Sprintf(" %d of %d usable", p.Usable+p.Backups, len(p.Servers))}), bold}
	}
	s := r.server
	limit, check := "", " "
	if s.Limit > 0 {
		limit = num(s.Limit)
	}
	if s.Probed {
		check += s.Check.Text
	}
	weight := strconv.Itoa(s.Weight)
	if s.Backup {
		weight += "b"
	}
	l := Line{join(servers, []string{"  " + s.Name, string(s.State), weight, num(s.Active), limit, num(s.Queued), rate(s.Rate), num(s.Total),
		num(s.Connects + s.Answers), num(int64(s.Retries)), check}), looks[s.State]}
	if chosen {
		l.Look, l.Text = inverse, ">"+l.Text[1:]
	}
	return l
}

var looks = map[census.State]string{census.Down: red, census.Ejected: red, census.Drain: yellow, census.Maint: yellow}

func num(n int64) string { return strconv.FormatInt(n, 10) }

func rate(r float64) string {
	if r > 0 && r < 10 {
		return strconv.FormatFloat(r, 'f', 1, 64)
	}
	return strconv.FormatFloat(r, 'f', 0, 64)
}

// span tells a long time in two units.
func span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// fit cuts a text to a width.
func fit(s string, width int) string {
	if diag.Width(s) <= width {
		return s
	}
	out, n := "", 0
	for _, r := range s {
		w := diag.Width(string(r))
		if n += w; n > width-1 {
			break
		}
		out += string(r)
	}
	if width < 1 {
		return ""
	}
	return out + "…"
}

// clean keeps what comes from elsewhere from moving the cursor.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
