package main

import (
	"bytes"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// heard keeps what is logged.
type heard struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *heard) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *heard) times(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.b.String(), what)
}

// While the main loop does not answer, systemd gets no sign of life; as soon as it
// does, and while it loads a configuration, which may take its time, it does get one.
func TestWatchdogMainLoop(t *testing.T) {
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "n"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	alive := func(wait time.Duration) bool {
		_ = socket.SetReadDeadline(time.Now().Add(wait))
		b := make([]byte, 100)
		n, err := socket.Read(b)
		return err == nil && string(b[:n]) == "WATCHDOG=1"
	}
	out := &heard{}
	c := &cobra.Command{}
	c.SetErr(out)
	p := newProcess("Lbfile", c)
	p.notify = &notifier{socket.LocalAddr().(*net.UnixAddr)}
	s := catchSignals()
	t.Cleanup(s.stop)
	end, watched := make(chan struct{}), make(chan struct{})
	go func() {
		p.watchdog(200*time.Millisecond, s, end)
		close(watched)
	}()
	t.Cleanup(func() {
		close(end)
		<-watched
	})

	for until := time.Now().Add(30 * time.Second); out.times("main loop does not answer") < 3; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("nobody answers, and nothing is said of it")
		}
	}
	if alive(time.Millisecond) {
		t.Fatal("a sign of life of a main loop that does not answer")
	}
	p.busy.Store(true)
	if !alive(30 * time.Second) {
		t.Error("none while a configuration is loaded")
	}
	p.busy.Store(false)
	ended := make(chan order, 1)
	go func() { ended <- p.obey(s) }()
	for range 3 { // one may be of the time before, and one of an answer to the time before
		if !alive(30 * time.Second) {
			t.Fatal("none of a main loop that answers")
		}
	}
	s.inner <- sigStop
	if o := <-ended; o != sigStop {
		t.Errorf("the main loop ended by %v", o)
	}
}
