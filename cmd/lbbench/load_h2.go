//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
)

// HTTP/2 load is h2load's (of nghttp2), since a second implementation of ours
// would prove little.

var (
	h2Counts = regexp.MustCompile(`requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored`)
	h2Status = regexp.MustCompile(`status codes: (\d+) 2xx`)
	h2Time   = regexp.MustCompile(`(?m)^time for request:\s+\S+\s+\S+\s+([0-9.]+)(us|ms|s)`)
)

// runH2Load runs h2load and translates what it prints.
func runH2Load(plan loadPlan, stdout io.Writer) error {
	program := find("h2load")
	if program == "" {
		return fmt.Errorf("h2load: %w", errMissing)
	}
	// It counts in whole units only, and a run by time needs a warm-up.
	cmd := exec.Command(program, "-t1", "-c", fmt.Sprint(plan.Conns), "-m", fmt.Sprint(plan.Streams),
		"-D", fmt.Sprintf("%dms", plan.Time.Milliseconds()), "--warm-up-time=0ms", "-N", fmt.Sprintf("%dms", plan.Timeout.Milliseconds()),
		"--connect-to="+rig.Addr(plan.Port), fmt.Sprintf("https://%s:%d/bytes/%d", tlsName, plan.Port, plan.Size))
	began := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("h2load: %w: %s", err, bytes.TrimSpace(out))
	}
	res, err := parseH2Load(out)
	if err != nil {
		return err
	}
	res.Elapsed = min(time.Since(began), plan.Time)
	return json.NewEncoder(stdout).Encode(res)
}

// parseH2Load reads h2load's summary. It has no percentiles; P50 is its mean.
func parseH2Load(out []byte) (loadResult, error) {
	m, status := h2Counts.FindSubmatch(out), h2Status.FindSubmatch(out)
	if m == nil || status == nil {
		return loadResult{}, fmt.Errorf("%w of h2load: %.300s", errWrongAnswer, out)
	}
	number := func(b []byte) uint64 { n, _ := strconv.ParseUint(string(b), 10, 64); return n }
	res := loadResult{Done: number(status[1]), Errors: number(m[3])}
	if done := number(m[1]); done > res.Done {
		res.Errors, res.First = max(res.Errors, done-res.Done), "answers that are no 2xx"
	}
	if t := h2Time.FindSubmatch(out); t != nil {
		res.P50, _ = time.ParseDuration(string(t[1]) + string(t[2]))
	}
	return res, nil
}
