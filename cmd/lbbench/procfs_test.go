//go:build linux

package main

import (
	"errors"
	"os"
	"slices"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	// The name holds what a careless parser trips over.
	line := "4242 (a b) (c) R 17 4242 4242 0 -1 4194304 1130 0 0 0 123 45 6 7 20 0 1 0 9300 0 0\n"
	got, err := parseStat([]byte(line))
	want := procStat{parent: 17, user: 1230 * time.Millisecond, system: 450 * time.Millisecond}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for _, bad := range []string{"", "1 (x", "1 (x) R 1 2", "1 (x) R p 4242 4242 0 -1 4194304 1130 0 0 0 123 45 6 7"} {
		if _, err := parseStat([]byte(bad)); !errors.Is(err, errBadProc) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestParseSchedstat(t *testing.T) {
	if d, err := parseSchedstat([]byte("123456789 42 7\n")); err != nil || d != 123456789 {
		t.Errorf("got %v, %v", d, err)
	}
	if _, err := parseSchedstat([]byte("\n")); !errors.Is(err, errBadProc) {
		t.Errorf("empty: %v", err)
	}
}

func TestParseKB(t *testing.T) {
	text := []byte("Rss:                2048 kB\nPss:                1536 kB\nPss_Dirty:           100 kB\n")
	if n, err := parseKB(text, "Pss"); err != nil || n != 1536<<10 {
		t.Errorf("got %d, %v", n, err)
	}
	if _, err := parseKB(text, "Swap"); !errors.Is(err, errBadProc) {
		t.Errorf("missing: %v", err)
	}
	if _, err := parseKB([]byte("Pss: many kB\n"), "Pss"); !errors.Is(err, errBadProc) {
		t.Errorf("not a number: %v", err)
	}
}

// TestOwnProcess reads the real /proc, about this process.
func TestOwnProcess(t *testing.T) {
	pid := os.Getpid()
	if all := tree(os.Getppid()); !slices.Contains(all, pid) {
		t.Errorf("the parent's tree %v is without %d", all, pid)
	}
	before, err := cpuOf([]int{pid})
	if err != nil {
		t.Fatal(err)
	}
	x := 1.0
	for i := range 30_000_000 {
		x = x*1.0000001 + float64(i)
	}
	after, err := cpuOf([]int{pid})
	if err != nil || x == 0 {
		t.Fatal(err)
	}
	if used := after.minus(before); used.Total <= 0 {
		t.Errorf("a busy loop used %+v", used)
	}
	if n, err := memoryOf([]int{pid}); err != nil || n < 1<<20 {
		t.Errorf("memory %d, %v", n, err)
	}
	if n, err := descriptorsOf(pid); err != nil || n < 3 {
		t.Errorf("descriptors %d, %v", n, err)
	}
	if _, err := cpuOf([]int{1 << 30}); err == nil {
		t.Error("a process that does not exist has used time")
	}
}
