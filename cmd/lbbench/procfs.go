//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// cpu is the processor time of a process tree since its start.
type cpu struct {
	Total        time.Duration // of the scheduler's clock, exact
	User, System time.Duration // split by the kernel's accounting
}

func (c cpu) minus(o cpu) cpu {
	return cpu{c.Total - o.Total, c.User - o.User, c.System - o.System}
}

// tick is the unit of utime and stime in /proc/PID/stat: USER_HZ, which is 100
// on every Linux architecture that Go runs on.
const tick = 10 * time.Millisecond

var errBadProc = errors.New("unexpected text in /proc")

// procStat is what is used of /proc/PID/stat (proc_pid_stat(5)).
type procStat struct {
	parent       int
	user, system time.Duration
}

// parseStat reads /proc/PID/stat. The command name stands in parentheses and
// may itself hold blanks and parentheses, so fields count from the last ")".
func parseStat(b []byte) (procStat, error) {
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return procStat{}, errBadProc
	}
	f := strings.Fields(string(b[i+1:]))
	if len(f) < 13 {
		return procStat{}, errBadProc
	}
	parent, err1 := strconv.Atoi(f[1])
	user, err2 := strconv.ParseInt(f[11], 10, 64)
	system, err3 := strconv.ParseInt(f[12], 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return procStat{}, fmt.Errorf("%w: %w", errBadProc, err)
	}
	return procStat{parent, time.Duration(user) * tick, time.Duration(system) * tick}, nil
}

// parseSchedstat reads the time on a processor, in nanoseconds, from
// /proc/PID/task/TID/schedstat.
func parseSchedstat(b []byte) (time.Duration, error) {
	first, _, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	n, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errBadProc, err)
	}
	return time.Duration(n), nil
}

// parseKB finds a "Name:   123 kB" line and gives bytes.
func parseKB(b []byte, name string) (int64, error) {
	for line := range strings.Lines(string(b)) {
		rest, ok := strings.CutPrefix(line, name+":")
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", errBadProc, err)
		}
		return n << 10, nil
	}
	return 0, fmt.Errorf("%w: no %s", errBadProc, name)
}

// tree gives a process and its descendants, because nginx works in a child.
func tree(pid int) []int {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it ended meanwhile
		}
		st, err := parseStat(b)
		if err != nil {
			continue
		}
		id, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		children[st.parent] = append(children[st.parent], id)
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// cpuOf adds up the processor time of some processes and all their threads.
func cpuOf(pids []int) (cpu, error) {
	var sum cpu
	for _, pid := range pids {
		dir := "/proc/" + strconv.Itoa(pid)
		b, err := os.ReadFile(dir + "/stat")
		if err != nil {
			return cpu{}, err
		}
		st, err := parseStat(b)
		if err != nil {
			return cpu{}, err
		}
		sum.User += st.user
		sum.System += st.system
		tasks, err := filepath.Glob(dir + "/task/*/schedstat")
		if err != nil {
			return cpu{}, err
		}
		for _, name := range tasks {
			b, err := os.ReadFile(name)
			if err != nil {
				continue // a thread that ended
			}
			d, err := parseSchedstat(b)
			if err != nil {
				return cpu{}, err
			}
			sum.Total += d
		}
	}
	if sum.Total == 0 { // a kernel without CONFIG_SCHED_INFO
		sum.Total = sum.User + sum.System
	}
	return sum, nil
}

// memoryOf adds up the proportional set size of some processes, in bytes, and
// the resident set where the kernel does not tell it.
func memoryOf(pids []int) (int64, error) {
	var sum int64
	for _, pid := range pids {
		dir := "/proc/" + strconv.Itoa(pid)
		b, err := os.ReadFile(dir + "/smaps_rollup")
		name := "Pss"
		if err != nil {
			b, err = os.ReadFile(dir + "/status")
			name = "VmRSS"
		}
		if err != nil {
			return 0, err
		}
		n, err := parseKB(b, name)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// descriptorsOf counts the open files of a process.
func descriptorsOf(pid int) (int, error) {
	names, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/fd")
	return len(names), err
}
