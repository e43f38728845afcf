//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// sample is what one round measured.
type sample struct {
	Done   uint64        `json:"done"`
	Errors uint64        `json:"errors"`
	First  string        `json:"first_error,omitempty"`
	Rate   float64       `json:"per_second"`
	CPU    time.Duration `json:"cpu_ns"` // per unit
	User   time.Duration `json:"user_ns"`
	System time.Duration `json:"system_ns"`
	Busy   float64       `json:"busy"` // share of its processor
	P50    time.Duration `json:"p50_ns"`
	P99    time.Duration `json:"p99_ns"`
	Memory int64         `json:"memory_bytes"` // per connection for idle, else of the whole product
}

var errNothing = errors.New("nothing was answered")

// round makes one run of load against a product and measures the product.
func (w *work) round(r *running, length time.Duration) (sample, error) {
	plan := w.Plan
	plan.Time = length
	if plan.Timeout == 0 {
		plan.Timeout = 10 * time.Second
	}
	plan.Port = r.HTTPPort
	switch {
	case w.TCP:
		plan.Port = r.TCPPort
	case w.Key != "":
		plan.Port = r.TLSPort
	}
	pids := tree(r.PID())
	before, err := cpuOf(pids)
	if err != nil {
		return sample{}, err
	}
	memory, err := memoryOf(pids)
	if err != nil {
		return sample{}, err
	}
	var res loadResult
	var grown int64
	began := time.Now()
	if w.idle() {
		res, grown, err = holdIdle(plan, pids)
		grown -= memory
	} else {
		res, err = runChild(plan)
	}
	if err != nil {
		return sample{}, err
	}
	wall := time.Since(began)
	after, err := cpuOf(pids)
	if err != nil {
		return sample{}, err
	}
	if res.Done == 0 {
		return sample{}, fmt.Errorf("%w: %d errors, first: %s", errNothing, res.Errors, res.First)
	}
	if w.idle() {
		memory = grown / int64(plan.Conns)
	} else if memory, err = memoryOf(pids); err != nil {
		return sample{}, err
	}
	used := after.minus(before)
	one := perUnit(w, res, used)
	one.Busy = float64(used.Total) / float64(wall)
	one.Memory = memory
	return one, nil
}

// perUnit divides what was used by what was done. The kernel's user/system
// split is in ticks, the total exact: the split is scaled to the total.
func perUnit(w *work, res loadResult, used cpu) sample {
	units := float64(res.Done)
	if w.Unit == "GB" {
		units = float64(res.Bytes) / gb
	}
	s := sample{
		Done: res.Done, Errors: res.Errors, First: res.First,
		P50: res.P50, P99: res.P99,
		CPU: time.Duration(float64(used.Total) / units),
	}
	if res.Elapsed > 0 {
		s.Rate = units / res.Elapsed.Seconds()
	}
	if split := used.User + used.System; split > 0 {
		s.User = time.Duration(float64(s.CPU) * float64(used.User) / float64(split))
		s.System = s.CPU - s.User
	}
	return s
}

// runChild runs the load generator to its end.
func runChild(plan loadPlan) (loadResult, error) {
	cmd, err := child(plan)
	if err != nil {
		return loadResult{}, err
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return loadResult{}, fmt.Errorf("load generator: %w: %s", err, errs.String())
	}
	var res loadResult
	err = json.Unmarshal(out, &res)
	return res, err
}

// holdIdle opens the connections, waits a second, and gives the product's
// memory while they stand.
func holdIdle(plan loadPlan, pids []int) (loadResult, int64, error) {
	cmd, err := child(plan)
	if err != nil {
		return loadResult{}, 0, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return loadResult{}, 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return loadResult{}, 0, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return loadResult{}, 0, err
	}
	lines := bufio.NewReader(out)
	_, readErr := lines.ReadString('\n')
	var memory int64
	if readErr == nil {
		time.Sleep(time.Second)
		memory, err = memoryOf(pids)
	}
	_ = in.Close()
	var res loadResult
	if readErr == nil {
		readErr = json.NewDecoder(lines).Decode(&res)
	}
	return res, memory, errors.Join(err, readErr, cmd.Wait())
}
