//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// table prints the comparison as a Markdown table, one block a work, and the
// ratio of Loadstar's CPU time (memory, for idle connections) to each peer's:
// below 1 is less than the peer takes.
func (r *report) table(out io.Writer) {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) }
	p("\n%s, %d cores, Linux %s, %s; %d rounds of %v, medians; %s\n",
		r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Machine.Go, r.Rounds, r.Time, r.Date.Format("2006-01-02"))
	var names []string
	for name := range r.Versions {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p("%s: %s\n", name, r.Versions[name])
	}
	p("\n| work | product | CPU per unit | user | system | per second | busy | p50 | p99 | memory | errors |\n")
	p("| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n")
	for _, x := range r.Rows {
		if x.Failed != "" && len(x.Samples) == 0 {
			first, _, _ := strings.Cut(x.Failed, "\n")
			p("| %s | %s | failed: %s | | | | | | | | |\n", x.Work, x.Product, strings.ReplaceAll(first, "|", "/"))
			continue
		}
		m := x.Median
		p("| %s | %s | %s/%s | %s | %s | %s | %.0f%% | %s | %s | %s | %d |\n", x.Work, x.Product,
			span(m.CPU), x.Unit, span(m.User), span(m.System), rate(m.Rate), 100*m.Busy, span(m.P50), span(m.P99), size(m.Memory), m.Errors)
	}
	r.ratios(p)
}

// ratios prints Loadstar's figure over each peer's.
func (r *report) ratios(p func(string, ...any)) {
	var peers []string
	for _, x := range r.Rows {
		if x.Product != "loadstar" && !slices.Contains(peers, x.Product) {
			peers = append(peers, x.Product)
		}
	}
	var lines []string
	for _, x := range r.Rows {
		if x.Product != "loadstar" || len(x.Samples) == 0 {
			continue
		}
		line := "| " + x.Doc + " |"
		for _, peer := range peers {
			line += " " + r.ratio(x, peer) + " |"
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 || len(peers) == 0 {
		return
	}
	p("\n| Loadstar's CPU per unit (memory, if idle) as a share of | %s |\n| --- |%s\n%s\n",
		strings.Join(peers, " | "), strings.Repeat(" --: |", len(peers)), strings.Join(lines, "\n"))
}

// ratio is a dash where the peer has no figure.
func (r *report) ratio(x *row, peer string) string {
	for _, y := range r.Rows {
		if y.Work != x.Work || y.Product != peer || len(y.Samples) == 0 {
			continue
		}
		a, b := float64(x.Median.CPU), float64(y.Median.CPU)
		if x.Unit == "connection" {
			a, b = float64(x.Median.Memory), float64(y.Median.Memory)
		}
		if b > 0 {
			return fmt.Sprintf("%.2f", a/b)
		}
	}
	return "–"
}

// span shows a duration with three figures.
func span(d time.Duration) string {
	switch f := float64(d); {
	case d < 10*time.Microsecond:
		return fmt.Sprintf("%.2f µs", f/1e3)
	case d < time.Millisecond:
		return fmt.Sprintf("%.1f µs", f/1e3)
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", f/1e6)
	default:
		return fmt.Sprintf("%.2f s", f/1e9)
	}
}

func rate(f float64) string {
	if f < 100 {
		return fmt.Sprintf("%.2f", f)
	}
	return fmt.Sprintf("%.0f", f)
}

// size shows bytes.
func size(n int64) string {
	switch f := float64(n); {
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", f/(1<<10))
	default:
		return fmt.Sprintf("%.1f MiB", f/(1<<20))
	}
}
