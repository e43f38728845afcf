package explain

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Measures of the picture, in SVG user units.
const (
	charWide  = 6.7 // of the monospace font at 11
	rowHigh   = 16
	boxPad    = 8
	boxGap    = 14
	columnGap = 150 // room for the edges
	margin    = 24
	mostChars = 58 // of a row; what is longer is cut, and shown by the pointer
)

// hues tell the edges to different pools apart.
var hues = []string{"#2563a8", "#b4532a", "#2f7d4f", "#8a3d8f", "#a07a14", "#1f7f8c", "#b03060", "#5a5f9e"}

// box is one rectangle with rows of text; the first is its title.
type box struct {
	x, y, wide float64
	rows       []string
	class      string
}

func (b *box) high() float64         { return float64(len(b.rows))*rowHigh + boxPad }
func (b *box) row(i int) (y float64) { return b.y + boxPad/2 + rowHigh*(float64(i)+0.5) }

// SVG writes the outline as a picture that needs nothing else: listeners, sites
// with their routes, pools with their servers, from left to right. An edge
// begins at the route that it belongs to.
func (o *Outline) SVG(w io.Writer) error {
	d := &drawing{outline: o}
	d.layout()
	d.draw()
	_, err := io.WriteString(w, d.out.String())
	return err
}

type drawing struct {
	outline   *Outline
	out       strings.Builder
	listeners []*box
	sites     map[string]*box
	siteBoxes []*box
	pools     map[string]*box
	poolBoxes []*box
	wide      float64
	high      float64
}

func (d *drawing) layout() {
	d.sites, d.pools = map[string]*box{}, map[string]*box{}
	for i := range d.outline.Listeners {
		l := &d.outline.Listeners[i]
		title := l.Address
		if l.TLS {
			title += "  TLS"
		}
		d.listeners = append(d.listeners, &box{rows: []string{title}, class: "listener"})
	}
	for i := range d.outline.Sites {
		s := &d.outline.Sites[i]
		b := &box{rows: []string{strings.Join(s.Addresses, ", ")}, class: "site"}
		for _, r := range s.Routes {
			b.rows = append(b.rows, strings.Repeat("  ", r.Depth)+r.Text)
		}
		d.siteBoxes = append(d.siteBoxes, b)
		d.sites[s.Name] = b
	}
	for i := range d.outline.Pools {
		p := &d.outline.Pools[i]
		b := &box{rows: []string{p.Name, p.facts()}, class: "pool"}
		for _, s := range p.Servers {
			b.rows = append(b.rows, s.text())
		}
		d.poolBoxes = append(d.poolBoxes, b)
		d.pools[p.Name] = b
	}
	x := column(d.listeners, margin)
	x = column(d.siteBoxes, x+columnGap/2)
	d.wide = column(d.poolBoxes, x+columnGap) + margin
	d.high = stack(d.siteBoxes, nil)
	d.high = max(d.high, stack(d.listeners, d.wanted(d.fromListener)), stack(d.poolBoxes, d.wanted(d.fromSite))) + margin
}

// column gives boxes their place and a common width, and where the next column may begin.
func column(boxes []*box, x float64) float64 {
	chars := 12
	for _, b := range boxes {
		for _, r := range b.rows {
			chars = max(chars, min(utf8.RuneCountInString(r), mostChars))
		}
	}
	wide := float64(chars)*charWide + 2*boxPad
	for _, b := range boxes {
		b.x, b.wide = x, wide
	}
	return x + wide
}

// stack puts boxes below each other, each as near as can be to where it is wanted
// without changing their order, and gives where they end.
func stack(boxes []*box, wanted map[*box]float64) float64 {
	if wanted != nil {
		slices.SortStableFunc(boxes, func(a, b *box) int {
			switch {
			case wanted[a] < wanted[b]:
				return -1
			case wanted[a] > wanted[b]:
				return 1
			}
			return 0
		})
	}
	y := float64(margin + rowHigh)
	for _, b := range boxes {
		b.y = max(y, wanted[b]-b.high()/2)
		y = b.y + b.high() + boxGap
	}
	return y
}

// edge joins a row of one box to another box.
type edge struct {
	from, to *box
	row      int
}

func (d *drawing) fromListener() (out []edge) {
	for i, l := range d.outline.Listeners {
		for _, s := range l.Sites {
			if to := d.sites[s]; to != nil {
				out = append(out, edge{d.listeners[i], to, 0})
			}
		}
	}
	return out
}

func (d *drawing) fromSite() (out []edge) {
	for _, s := range d.outline.Sites {
		for i, r := range s.Routes {
			if to := d.pools[r.Pool]; to != nil {
				out = append(out, edge{d.sites[s.Name], to, i + 1})
			}
		}
	}
	return out
}

// wanted gives the height that each box of a column would best stand at: for a
// pool the mean of what it is joined to.
func (d *drawing) wanted(edges func() []edge) map[*box]float64 {
	sum, n := map[*box]float64{}, map[*box]float64{}
	add := func(b *box, y float64) { sum[b] += y; n[b]++ }
	for _, e := range edges() {
		if e.from.class == "listener" { // beside its first site, where reading begins
			if n[e.from] == 0 {
				add(e.from, e.to.row(0))
			}
		} else {
			add(e.to, e.from.row(e.row))
		}
	}
	for b := range sum {
		sum[b] /= n[b]
	}
	for _, b := range append(slices.Clone(d.listeners), d.poolBoxes...) {
		if n[b] == 0 { // joined to nothing: at the end
			sum[b] = 1e9
		}
	}
	last := 0.0
	for b, y := range sum {
		if n[b] > 0 {
			last = max(last, y)
		}
	}
	for b := range sum {
		if n[b] == 0 {
			sum[b] = last + 1
		}
	}
	return sum
}

const style = `<style>
text{font:11px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#222}
.head{font-size:12px;fill:#666}
rect{stroke:#9aa3ad;fill:#fff}
.listener rect{fill:#f3f0e6}.pool rect{fill:#eef4ff}
.title{font-weight:bold}.facts{fill:#667}
path{fill:none;stroke-width:1.2;opacity:.75}
path:hover{stroke-width:3;opacity:1}
</style>
`

func (d *drawing) draw() {
	fmt.Fprintf(&d.out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\">\n", d.wide, d.high, d.wide, d.high)
	d.out.WriteString(style)
	fmt.Fprintf(&d.out, "<rect x=\"0\" y=\"0\" width=\"%.0f\" height=\"%.0f\" style=\"fill:#fff;stroke:none\"/>\n", d.wide, d.high)
	for i, boxes := range [][]*box{d.listeners, d.siteBoxes, d.poolBoxes} {
		if len(boxes) > 0 {
			fmt.Fprintf(&d.out, "<text class=\"head\" x=\"%.0f\" y=\"%d\">%s</text>\n", boxes[0].x, margin, [...]string{"listeners", "sites", "pools and servers"}[i])
		}
	}
	for _, e := range d.fromListener() {
		d.path(e, "#888", "")
	}
	hue := map[*box]string{}
	for i, b := range d.poolBoxes {
		hue[b] = hues[i%len(hues)]
	}
	for _, e := range d.fromSite() {
		d.path(e, hue[e.to], e.from.rows[0]+": "+strings.TrimSpace(e.from.rows[e.row]))
	}
	for _, boxes := range [][]*box{d.listeners, d.siteBoxes, d.poolBoxes} {
		for _, b := range boxes {
			d.box(b)
		}
	}
	d.out.WriteString("</svg>\n")
}

func (d *drawing) path(e edge, hue, title string) {
	x1, y1, x2, y2 := e.from.x+e.from.wide, e.from.row(e.row), e.to.x, e.to.row(0)
	bend := (x2 - x1) / 2
	fmt.Fprintf(&d.out, "<path stroke=\"%s\" d=\"M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f\">", hue, x1, y1, x1+bend, y1, x2-bend, y2, x2, y2)
	if title != "" {
		d.out.WriteString("<title>" + escape(title) + "</title>")
	}
	d.out.WriteString("</path>\n")
}

func (d *drawing) box(b *box) {
	fmt.Fprintf(&d.out, "<g class=\"%s\"><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"3\"/>\n", b.class, b.x, b.y, b.wide, b.high())
	for i, r := range b.rows {
		class := ""
		switch {
		case i == 0:
			class = ` class="title"`
		case i == 1 && b.class == "pool":
			class = ` class="facts"`
		}
		shown := r
		if utf8.RuneCountInString(r) > mostChars {
			shown = string([]rune(r)[:mostChars-1]) + "…"
		}
		fmt.Fprintf(&d.out, "<text%s x=\"%.1f\" y=\"%.1f\" xml:space=\"preserve\">%s", class, b.x+boxPad, b.row(i)+4, escape(shown))
		if shown != r {
			d.out.WriteString("<title>" + escape(r) + "</title>")
		}
		d.out.WriteString("</text>\n")
	}
	d.out.WriteString("</g>\n")
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(clean(s)))
	return b.String()
}
