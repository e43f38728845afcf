package stats

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// View is which part of a snapshot is looked at, and in which order. It comes
// from the page's query, so that each view has an address and every control works
// as a link or a form.
type View struct {
	Text  string // in the name of a pool, a server or a site, or in an address
	State string // one of Filters
	Sort  string // one of Sorts; "": as configured
	Up    bool   // the lowest first
	Page  int    // from 1
}

// PerPage is how many servers stand on one page.
const PerPage = 200

// Filters are the values of View.State with what they are called.
var Filters = [...][2]string{{"", "all"}, {"bad", "only problems"}, {"up", "up"}, {"down", "down"}, {"out", "drained or in maintenance"}}

// Sorts are the columns that can be sorted by.
var Sorts = [...]string{"name", "status", "weight", "sessions", "rate", "queue", "bytes", "answers", "errors", "retries", "check", "time"}

// maxText bounds what is searched for.
const maxText = 100

// ParseView reads a query; what it does not understand it passes over.
func ParseView(query string) View {
	q, _ := url.ParseQuery(query)
	v := View{Text: strings.TrimSpace(q.Get("q")), State: q.Get("state"), Sort: q.Get("sort"), Up: q.Get("dir") == "up", Page: 1}
	if len(v.Text) > maxText {
		v.Text = v.Text[:maxText]
	}
	v.Text = strings.ToValidUTF8(v.Text, "")
	if !slices.ContainsFunc(Filters[:], func(f [2]string) bool { return f[0] == v.State }) {
		v.State = ""
	}
	if !slices.Contains(Sorts[:], v.Sort) {
		v.Sort, v.Up = "", false
	}
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 1 && n < 1_000_000 {
		v.Page = n
	}
	return v
}

// Query writes the view as ParseView reads it, without "?".
func (v View) Query() string {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("q", v.Text)
	set("state", v.State)
	set("sort", v.Sort)
	if v.Up {
		q.Set("dir", "up")
	}
	if v.Page > 1 {
		q.Set("page", strconv.Itoa(v.Page))
	}
	return q.Encode()
}

func (v *View) shows(r *Row) bool {
	if v.Text != "" && !contains(r.Group, v.Text) && !contains(r.Name, v.Text) && !contains(r.Address, v.Text) {
		return false
	}
	switch v.State {
	case "bad":
		return !r.State.Good()
	case "up":
		return r.State.Good()
	case "down":
		return r.State == Down || r.State == Ejected
	case "out":
		return r.State == Draining || r.State == Maint
	}
	return true
}

func contains(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

// selection is what of a snapshot stands on the page.
type selection struct {
	sites   []*Row
	pools   []part
	servers int // that the view shows, on all pages
	pages   int
	page    int
}

// part is a pool with those of its servers that stand on the page.
type part struct {
	total   *Row
	servers []*Row
	all     int // how many the pool has
}

// choose applies a view.
func (s *Snapshot) choose(v View) selection {
	if v.Sort == "time" { // only now are percentiles of all of them needed
		for r := range s.rows() {
			_ = r
		}
	}
	out := s.pick(v)
	for _, r := range out.sites {
		r.fill()
	}
	for _, p := range out.pools {
		p.total.fill()
		for _, r := range p.servers {
			r.fill()
		}
	}
	return out
}

func (s *Snapshot) pick(v View) selection {
	var out selection
	for i := range s.Sites {
		if v.shows(&s.Sites[i]) {
			out.sites = append(out.sites, &s.Sites[i])
		}
	}
	v.sort(out.sites)
	var parts []part
	for i := range s.Pools {
		p := part{total: &s.Pools[i].Total, all: len(s.Pools[i].Servers)}
		for j := range s.Pools[i].Servers {
			if r := &s.Pools[i].Servers[j]; v.shows(r) {
				p.servers = append(p.servers, r)
			}
		}
		if len(p.servers) > 0 || v.shows(p.total) {
			v.sort(p.servers)
			parts = append(parts, p)
			out.servers += len(p.servers)
		}
	}
	if v.Sort != "" {
		slices.SortStableFunc(parts, func(a, b part) int { return v.compare(a.total, b.total) })
	}
	out.cut(parts, v.Page)
	return out
}

// cut keeps what stands on one page. A pool counts as a server, so that many
// empty or small ones do not make a page endless.
func (o *selection) cut(parts []part, page int) {
	lines := 0
	for i := range parts {
		lines += len(parts[i].servers) + 1
	}
	o.pages = max(1, (lines+PerPage-1)/PerPage)
	o.page = min(page, o.pages)
	from, to := (o.page-1)*PerPage, o.page*PerPage
	at := 0
	for _, p := range parts {
		begin := at // of the pool's line; its servers follow
		at += len(p.servers) + 1
		if at <= from || begin >= to {
			continue
		}
		p.servers = p.servers[max(0, from-begin-1):min(len(p.servers), to-begin-1)]
		o.pools = append(o.pools, p)
	}
}

func (v *View) sort(rows []*Row) {
	if v.Sort != "" {
		slices.SortStableFunc(rows, v.compare)
	}
}

func (v *View) compare(a, b *Row) int {
	c := 0
	switch v.Sort {
	case "name":
		c = -cmp.Or(strings.Compare(a.Group, b.Group), strings.Compare(a.Name, b.Name)) // from a to z at first
	case "status":
		c = cmp.Compare(gravity[a.State], gravity[b.State])
	case "weight":
		c = cmp.Compare(a.Weight, b.Weight)
	case "sessions":
		c = cmp.Compare(a.Current, b.Current)
	case "rate":
		c = cmp.Compare(a.Rate, b.Rate)
	case "queue":
		c = cmp.Compare(a.Queued, b.Queued)
	case "bytes":
		c = cmp.Compare(a.BytesIn+a.BytesOut, b.BytesIn+b.BytesOut)
	case "answers":
		c = cmp.Compare(a.Classes[5], b.Classes[5])
	case "errors":
		c = cmp.Compare(a.Errors(), b.Errors())
	case "retries":
		c = cmp.Compare(a.Retries, b.Retries)
	case "check":
		c = cmp.Compare(took(a), took(b))
	case "time":
		c = cmp.Compare(a.Response.P99, b.Response.P99)
	}
	if v.Up {
		return c
	}
	return -c
}

// gravity orders the states by how much they need somebody.
var gravity = [...]int{Open: 0, Up: 0, Unchecked: 0, Full: 2, Doubtful: 3, Draining: 4, Maint: 5, Ejected: 6, Down: 7}

func took(r *Row) time.Duration {
	if c := r.Probe.Last(); c != nil {
		return c.Took
	}
	return -1
}
