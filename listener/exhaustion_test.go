package listener

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const childEnv = "LOADSTAR_TEST_EXHAUSTION"

// TestExhaustion runs a child that may open few descriptors, and opens more
// connections than it can take.
func TestExhaustion(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		exhausted(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestExhaustion$")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	var addr string
	if _, err := fmt.Fscan(out, &addr); err != nil {
		t.Fatal(err)
	}
	var open []net.Conn
	for range 60 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open = append(open, c)
	}
	ask(t, open[0], "x") // those inside are served on
	last := open[len(open)-1]
	last.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	last.Write([]byte("y"))
	if n, _ := last.Read(make([]byte, 1)); n != 0 {
		t.Error("a connection beyond the descriptors was served")
	}
	fmt.Fprintln(in, "report")
	var used time.Duration
	var logged, spare int
	if _, err := fmt.Fscan(out, (*int64)(&used), &logged, &spare); err != nil {
		t.Fatal(err)
	}
	if used > 200*time.Millisecond {
		t.Errorf("the exhausted process used %v of CPU time in half a second", used)
	}
	if logged != 1 {
		t.Errorf("logged %d times, want once", logged)
	}
	if spare == 0 {
		t.Error("no descriptor was held back for others")
	}
	for _, c := range open[:45] {
		c.Close()
	}
	relief := time.Now()
	last.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := last.Read(make([]byte, 1)); n != 1 {
		t.Fatalf("not served after relief: %v", err)
	}
	t.Logf("served %v after relief", time.Since(relief))
}

// exhausted is the child: it prints its address, then on a line of input what
// it used since.
func exhausted(t *testing.T) {
	var log syncBuffer
	h := NewHost(serve(echo), slog.New(slog.NewTextHandler(&log, nil)))
	set := NewSet(h)
	put(t, set, Want{Key: anyPort(), Binding: binding(1)})
	lim := syscall.Rlimit{Cur: 45, Max: 45}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		t.Fatal(err)
	}
	fmt.Println(set.Sockets()[0].Addr())
	var word string
	eventually(t, "exhaustion", func() bool { return strings.Contains(log.String(), "descriptors") })
	before := cpuTime()
	fmt.Scan(&word)
	spare := 0
	if f, err := os.Open(os.DevNull); err == nil {
		spare++
		f.Close()
	}
	fmt.Println(int64(cpuTime()-before), strings.Count(log.String(), "out of descriptors"), spare)
	fmt.Scan(&word) // until the parent has seen enough
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
