//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
)

// HTTP/2 load is h2load's (of nghttp2), since a second implementation of ours
// would prove little.

var (
	h2Counts = regexp.MustCompile(`requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored`)
	h2Status = regexp.MustCompile(`status codes: (\d+) 2xx`)
)

// runH2Load runs h2load and translates what it prints.
func runH2Load(plan loadPlan, stdout io.Writer) error {
	program := find("h2load")
	if program == "" {
		return fmt.Errorf("h2load: %w", errMissing)
	}
	log, err := os.CreateTemp("", "h2load") // one line a request: its summary has no percentiles
	if err != nil {
		return err
	}
	defer os.Remove(log.Name())
	defer log.Close()
	// It counts in whole units only, and a run by time needs a warm-up.
	cmd := exec.Command(program, "-t1", "-c", fmt.Sprint(plan.Conns), "-m", fmt.Sprint(plan.Streams),
		"-D", fmt.Sprintf("%dms", plan.Time.Milliseconds()), "--warm-up-time=0ms", "-N", fmt.Sprintf("%dms", plan.Timeout.Milliseconds()),
		"--log-file="+log.Name(), "--connect-to="+rig.Addr(plan.Port), fmt.Sprintf("https://%s:%d/bytes/%d", tlsName, plan.Port, plan.Size))
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
	if res.P50, res.P99, err = h2Times(log); err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(res)
}

// parseH2Load reads h2load's summary.
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
	return res, nil
}

// h2Times reads h2load's log: start, status and time until the end of the answer, both
// times in microseconds. What did not succeed has no part in it.
func h2Times(log io.Reader) (p50, p99 time.Duration, err error) {
	var h histogram
	for lines := bufio.NewScanner(log); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 3 {
			return 0, 0, fmt.Errorf("%w of h2load: %q", errWrongAnswer, lines.Text())
		}
		us, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("%w of h2load: %q", errWrongAnswer, lines.Text())
		}
		if strings.HasPrefix(f[1], "2") {
			h.add(time.Duration(us) * time.Microsecond)
		}
	}
	return h.percentile(0.5), h.percentile(0.99), nil
}
