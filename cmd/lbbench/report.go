//go:build linux

package main

import (
	"cmp"
	"encoding/json"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// report is the outcome of a comparison, and its JSON.
type report struct {
	Date     time.Time         `json:"date"`
	Command  string            `json:"command"`
	Machine  machine           `json:"machine"`
	Versions map[string]string `json:"versions"`
	Rounds   int               `json:"rounds"`
	Time     time.Duration     `json:"round_ns"`
	Rows     []*row            `json:"rows"`
}

type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

// row is one product at one work.
type row struct {
	Work    string   `json:"work"`
	Doc     string   `json:"doc"`
	Unit    string   `json:"unit"`
	Product string   `json:"product"`
	Samples []sample `json:"samples"`
	Median  sample   `json:"median"`
	Failed  string   `json:"failed,omitempty"`
}

func newReport(o options) report {
	r := report{
		Date: time.Now().UTC().Truncate(time.Second), Command: strings.Join(os.Args, " "),
		Versions: map[string]string{}, Rounds: o.Rounds, Time: o.Time,
		Machine: machine{Cores: runtime.NumCPU(), Go: runtime.Version()},
	}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		r.Machine.CPU = cpuModel(string(b))
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		r.Machine.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	return r
}

// cpuModel finds the processor's name in /proc/cpuinfo.
func cpuModel(info string) string {
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// of finds or makes the row of a product at a work.
func (r *report) of(w work, p *product) *row {
	for _, x := range r.Rows {
		if x.Work == w.Name && x.Product == p.Name {
			return x
		}
	}
	x := &row{Work: w.Name, Doc: w.Doc, Unit: w.Unit, Product: p.Name}
	r.Rows = append(r.Rows, x)
	return x
}

func (r *report) add(w work, p *product, s sample) {
	x := r.of(w, p)
	x.Samples = append(x.Samples, s)
	x.Median = median(x.Samples)
}

func (r *report) fail(w work, p *product, err error) { r.of(w, p).Failed = err.Error() }

// median takes the median of each figure by itself; counts are added up.
func median(all []sample) sample {
	m := sample{
		CPU: mid(all, func(s sample) time.Duration { return s.CPU }),
		P50: mid(all, func(s sample) time.Duration { return s.P50 }),
		P99: mid(all, func(s sample) time.Duration { return s.P99 }),

		Rate:   mid(all, func(s sample) float64 { return s.Rate }),
		Busy:   mid(all, func(s sample) float64 { return s.Busy }),
		Memory: mid(all, func(s sample) int64 { return s.Memory }),
	}
	var cpu, user time.Duration
	for _, s := range all {
		m.Done += s.Done
		m.Errors += s.Errors
		m.First = cmp.Or(m.First, s.First)
		cpu += s.CPU
		user += s.User
	}
	// The split of one round is coarse: all rounds together decide it.
	if cpu > 0 {
		m.User = time.Duration(float64(m.CPU) * float64(user) / float64(cpu))
	}
	m.System = m.CPU - m.User
	return m
}

func mid[T cmp.Ordered](all []sample, get func(sample) T) T {
	v := make([]T, len(all))
	for i, s := range all {
		v[i] = get(s)
	}
	slices.Sort(v)
	var zero T
	if len(v) == 0 {
		return zero
	}
	return v[(len(v)-1)/2]
}

func (r *report) write(name string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(b, '\n'), 0o644)
}
