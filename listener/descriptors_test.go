package listener

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// The limit is raised as far as one may, in a process of its own: it is the test's,
// too, and does not come back.
func TestRaiseDescriptors(t *testing.T) {
	if os.Getenv("RAISE_DESCRIPTORS") == "" {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestRaiseDescriptors$", "-test.v")
		cmd.Env = append(os.Environ(), "RAISE_DESCRIPTORS=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	low := syscall.Rlimit{Cur: 100, Max: before.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	if got := RaiseDescriptors(90); got != 100 {
		t.Errorf("enough already, and now it is %d", got)
	}
	if got := RaiseDescriptors(200); got < 200 {
		t.Errorf("below the hard limit: %d", got)
	}
	low.Cur = 100
	_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low)
	// Beyond the hard limit it is as much as one may: all of it for root, else the
	// hard limit.
	if got := RaiseDescriptors(before.Max + 1); got != before.Max+1 && got != before.Max {
		t.Errorf("above the hard limit of %d: %d", before.Max, got)
	}
	if got := Descriptors(1000, 10); got != 2074 {
		t.Errorf("for 1000 connections and 10 servers: %d", got)
	}
}
