package health

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// scripted passes or fails as told and notes when it was asked.
type scripted struct {
	mu   sync.Mutex
	ok   bool
	hang bool
	at   []time.Duration
	from time.Time
}

func (s *scripted) set(ok bool) { s.mu.Lock(); s.ok = ok; s.mu.Unlock() }

func (s *scripted) Probe(ctx context.Context, _ *Target) (Result, error) {
	s.mu.Lock()
	s.at = append(s.at, time.Since(s.from))
	ok, hang := s.ok, s.hang
	s.mu.Unlock()
	if hang {
		<-ctx.Done()
		return failed("Layer7 timeout", 0, "")
	}
	if ok {
		return passed("Layer7 check passed", 200, "OK"), nil
	}
	return failed("Layer7 wrong status", 500, "Oh no")
}

func (s *scripted) times() []time.Duration { s.mu.Lock(); defer s.mu.Unlock(); return s.at }

func TestMonitorCadence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &scripted{ok: true, from: time.Now()}
		live := upstream.NewLive()
		var changes []string
		live.Subscribe(func(c upstream.Change) { changes = append(changes, c.Verdict.String()+" "+c.Why) })
		m := &Monitor{Live: live, Probe: p, Target: Target{Name: "p/s1"},
			Settings: Settings{Interval: 2 * time.Second, Fast: time.Second, Down: 5 * time.Second, Rise: 2, Fall: 3}}
		m.Start(500 * time.Millisecond)
		m.Start(0) // changes nothing
		time.Sleep(3 * time.Second)
		p.set(false)
		time.Sleep(10 * time.Second)
		p.set(true)
		time.Sleep(10 * time.Second)
		_ = m.Close()
		time.Sleep(time.Minute)
		// 0.5 and 2.5 passed; 4.5 5.5 6.5 failed: down; then every 5 s, fast on the way up.
		want := []time.Duration{500, 2500, 4500, 5500, 6500, 11500, 16500, 17500, 19500, 21500}
		got := p.times()
		if len(got) != len(want) {
			t.Fatalf("probed at %v", got)
		}
		for i := range want {
			if got[i] != want[i]*time.Millisecond {
				t.Fatalf("probed at %v, want %v ms", got, want)
			}
		}
		if len(changes) != 2 || !strings.HasPrefix(changes[0], `DOWN reason: Layer7 wrong status, code: 500, info: "Oh no", check duration: 0ms`) ||
			!strings.HasPrefix(changes[1], `UP reason: Layer7 check passed, code: 200, info: "OK"`) {
			t.Errorf("changes: %q", changes)
		}
	})
}

func TestMonitorCutsAHangingProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &scripted{hang: true, from: time.Now()}
		live := upstream.NewLive()
		m := &Monitor{Live: live, Probe: p, Target: Target{Connect: 5 * time.Second},
			Settings: Settings{Interval: 2 * time.Second, Timeout: time.Second, Rise: 1, Fall: 1}}
		m.Start(0)
		defer m.Close()
		time.Sleep(3*time.Second - time.Millisecond)
		if live.Verdict() != upstream.Up {
			t.Error("down before connect and answer had their times")
		}
		time.Sleep(2 * time.Millisecond)
		if live.Verdict() != upstream.Down {
			t.Error("a hanging probe was not cut")
		}
		_ = m.Close() // cuts the next one: synctest would complain of a goroutine left
	})
}

// A server taken over by another monitor hears no more of the first, which can
// be brought back; state goes on where the other left it.
func TestMonitorTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live := upstream.NewLive()
		settings := Settings{Interval: time.Second, Rise: 1, Fall: 1}
		bad, good := &scripted{from: time.Now()}, &scripted{ok: true, from: time.Now()}
		a := &Monitor{Live: live, Probe: bad, Settings: settings}
		b := &Monitor{Live: live, Probe: good, Settings: settings}
		a.Start(0)
		time.Sleep(10 * time.Millisecond)
		if live.Verdict() != upstream.Down {
			t.Fatal("not down")
		}
		b.Start(0)
		time.Sleep(5 * time.Second)
		if live.Verdict() != upstream.Up || len(bad.times()) > 2 {
			t.Errorf("%v, the first monitor probed %d times", live.Verdict(), len(bad.times()))
		}
		a.Start(0)
		time.Sleep(5 * time.Second)
		if live.Verdict() != upstream.Down {
			t.Error("the first monitor did not come back")
		}
		_ = a.Close()
		_ = b.Close()
	})
}

func TestMonitorDebugLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		p := &scripted{ok: true}
		m := &Monitor{Live: upstream.NewLive(), Probe: p, Log: log, Target: Target{Name: "pool/s1"},
			Settings: Settings{Interval: 2 * time.Second, Rise: 2, Fall: 3}}
		m.Start(0)
		time.Sleep(time.Second)
		p.set(false)
		time.Sleep(2 * time.Second)
		_ = m.Close()
		for _, want := range []string{
			`Health check for server pool/s1 succeeded, reason: Layer7 check passed, code: 200, info: \"OK\", check duration: 0ms, status: 3/3 UP.`,
			`Health check for server pool/s1 failed, reason: Layer7 wrong status, code: 500, info: \"Oh no\", check duration: 0ms, status: 2/3 UP.`,
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("missing %s in\n%s", want, out.String())
			}
		}
	})
}
