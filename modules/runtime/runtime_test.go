package runtime_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/modules"
	"github.com/loadstar-lb/loadstar/modules/runtime"
)

func load(t testing.TB, text string) *config.Config {
	t.Helper()
	cfg, _, errs := dsl.Load("Lbfile", []byte(text), dsl.Options{Vocabulary: modules.Standard().Vocabulary()})
	if errs.HasErrors() {
		t.Fatal(errs)
	}
	return cfg
}

func newRuntime(t testing.TB) *runtime.Runtime {
	r := runtime.New(modules.Standard(), slog.New(slog.DiscardHandler))
	t.Cleanup(func() { stop(r, time.Second) })
	return r
}

func stop(r *runtime.Runtime, grace time.Duration) int {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	return r.Shutdown(ctx)
}

// freePort gives a port that nobody listens on.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func site(port int, answer string) string {
	return fmt.Sprintf("http://:%d {\n\tbind 127.0.0.1\n\tlog off\n\trespond %q\n}\n", port, answer)
}

// client is one keep-alive connection.
type client struct {
	net.Conn
	r *bufio.Reader
}

func connect(port int) (*client, error) {
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, err
	}
	return &client{c, bufio.NewReader(c)}, nil
}

var errEnded = errors.New("connection ended after an answer")

// post sends what no client repeats on its own.
func (c *client) post() (body string, err error) {
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\nhi"); err != nil {
		return "", err
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(res.Body)
	if err == nil && res.Close {
		err = errEnded
	}
	return string(b), err
}

func TestApply(t *testing.T) {
	r, port, other := newRuntime(t), freePort(t), freePort(t)
	if n, errs := r.Apply(load(t, site(port, "one"))); n != 1 || errs.HasErrors() {
		t.Fatalf("generation %d, %v", n, errs)
	}
	c, err := connect(port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want := func(body string, fault error) {
		t.Helper()
		if got, err := c.post(); got != body || !errors.Is(err, fault) {
			t.Fatalf("answer %q, %v; want %q, %v", got, err, body, fault)
		}
	}
	want("one", nil)
	if n, errs := r.Apply(load(t, site(port, "two")+site(other, "other"))); n != 2 || errs.HasErrors() {
		t.Fatalf("generation %d, %v", n, errs)
	}
	want("two", nil) // the same connection
	for end := time.Now().Add(10 * time.Second); r.Stats().Draining > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%+v: the first generation never ended", r.Stats())
		}
	}

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	n, errs := r.Apply(load(t, site(port, "three")+site(taken.Addr().(*net.TCPAddr).Port, "x")))
	if n != 2 || len(errs) != 1 || errs[0].Range.Start.Line != 6 || !strings.Contains(errs[0].Message, "in use") {
		t.Errorf("a port that is taken: generation %d, %v", n, errs)
	}
	want("two", nil)

	// The site goes: its connection gets one more answer, and its end.
	if n, errs := r.Apply(load(t, site(other, "other"))); n != 3 || errs.HasErrors() {
		t.Fatalf("generation %d, %v", n, errs)
	}
	want("two", errEnded)
	for end := time.Now().Add(20 * time.Second); ; { // its last moments are another goroutine's
		late, err := connect(port)
		if err != nil {
			break
		}
		_ = late.Close()
		if time.Now().After(end) {
			t.Fatal("the dropped port still accepts")
		}
	}
	if cut := stop(r, 10*time.Second); cut != 0 {
		t.Errorf("%d connections were cut", cut)
	}
	if _, errs := r.Apply(load(t, site(port, "late"))); !errs.HasErrors() {
		t.Error("a configuration was taken after the end")
	}
}

// TestReloadsLoseNothing sends POSTs with and without keep-alive through 60
// reloads.
func TestReloadsLoseNothing(t *testing.T) {
	r, port := newRuntime(t), freePort(t)
	if _, errs := r.Apply(load(t, site(port, "first"))); errs.HasErrors() {
		t.Fatal(errs)
	}
	var done atomic.Bool
	var answered atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for !done.Load() {
				c, err := connect(port)
				if err != nil {
					t.Error(err)
					return
				}
				for keep := true; keep && !done.Load(); keep = i%2 == 0 {
					if _, err := c.post(); err != nil {
						t.Error(err)
						break
					}
					answered.Add(1)
				}
				c.Close()
			}
		})
	}
	for n := range 60 {
		before := answered.Load()
		if _, errs := r.Apply(load(t, site(port, fmt.Sprint("answer ", n)))); errs.HasErrors() {
			t.Fatal(errs)
		}
		for end := time.Now().Add(10 * time.Second); answered.Load() < before+8; time.Sleep(100 * time.Microsecond) {
			if time.Now().After(end) || t.Failed() {
				t.Fatal("no traffic")
			}
		}
	}
	done.Store(true)
	wg.Wait()
	stop(r, 10*time.Second)
	if st := r.Stats(); st.Draining != 0 || st.Connections != 0 || st.Generation != 0 {
		t.Errorf("left behind: %+v", st)
	}
}
