package pool

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/balancer"
)

// What is repeated after what.
func TestRetryConditions(t *testing.T) {
	refused := &flow.Error{Side: flow.SideServer, Phase: flow.PhaseConnect,
		Err: &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}}
	unreachable := &flow.Error{Side: flow.SideServer, Phase: flow.PhaseConnect, Timeout: true, Err: errors.New("i/o timeout")}
	stale := &flow.Error{Side: flow.SideServer, Phase: flow.PhaseHeaders, Empty: true}
	empty := &flow.Error{Side: flow.SideServer, Phase: flow.PhaseHeaders, Empty: true, Begun: true}
	half := &flow.Error{Side: flow.SideServer, Phase: flow.PhaseHeaders, Begun: true}
	late := &flow.Error{Side: flow.SideServer, Phase: flow.PhaseHeaders, Timeout: true, Begun: true}
	junk := &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseHeaders, Status: 502, Begun: true}
	client := &flow.Error{Side: flow.SideClient, Phase: flow.PhaseData}
	faults := []*flow.Error{refused, unreachable, stale, empty, half, late, junk, client}
	for _, c := range []struct {
		retry, method string
		begun         bool
		want          string // of faults, those that are followed by another try
	}{
		{"", "GET", false, "refused unreachable stale empty half"},
		{"", "GET", true, "refused unreachable stale"},
		{"", "POST", false, "refused unreachable stale"},
		{"", "PUT", false, "refused unreachable stale"},
		{"any_method", "PUT", false, "refused unreachable stale empty half"},
		{"on connect_failure", "GET", false, "refused unreachable stale"},
		{"on refused", "GET", false, "refused stale"},
		{"on timeout", "GET", true, "stale late"},
		{"on empty_response", "GET", true, "stale empty"},
		{"on empty_response timeout", "PUT", true, "stale empty late"},
		{"on empty_response timeout", "POST", true, "stale"},
		{"on empty_response timeout any_method", "POST", true, "stale empty late"},
		{"on 503", "GET", false, "stale"},
	} {
		p := build(t, "retry 3 "+c.retry+"\nserver a 127.0.0.1:1", Deps{})
		var got []string
		for i, name := range strings.Fields("refused unreachable stale empty half late junk client") {
			if p.Retry.Allows(faults[i], c.method, c.begun) {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q, %s, begun %v: %v, want %s", c.retry, c.method, c.begun, got, c.want)
		}
	}
}

func TestRetryStatuses(t *testing.T) {
	p := build(t, "retry 3 on 503 5xx 404,429\nserver a 127.0.0.1:1", Deps{})
	for status, want := range map[int]bool{200: false, 404: true, 405: false, 429: true, 500: true, 503: true, 599: true, 0: false} {
		if p.Retry.Status(status) != want {
			t.Errorf("%d: %v", status, !want)
		}
	}
	if p := build(t, "server a 127.0.0.1:1", Deps{}); p.Retry.Status(503) {
		t.Error("a status is no failure unless it is said")
	}
	for _, text := range []string{"on nonsense", "on 200", "on 6xx", "on 200-599", "on 404,200"} {
		_, errs := New(parse(t, "p", "retry 3 "+text+"\nserver a 127.0.0.1:1"), Deps{})
		if len(errs) != 1 || errs[0].Severity != diag.Error || len(errs[0].Help) == 0 {
			t.Errorf("%q: %v", text, errs)
		}
	}
}

// TestRetryBudget compares the budget with a list of all that happened.
func TestRetryBudget(t *testing.T) {
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 2))
			b := &budget{percent: 20}
			type event struct {
				slot  int64
				retry bool
			}
			var all []event
			refused, granted := 0, 0
			for range 8000 {
				now := flow.Now()
				slot := now / int64(time.Second)
				if now < 0 { // synctest's clock begins before the process
					slot = -(-now / int64(time.Second))
				}
				var requests, retries int64
				for i := len(all) - 1; i >= 0 && all[i].slot > slot-10; i-- {
					if all[i].retry {
						retries++
					} else {
						requests++
					}
				}
				if rnd.IntN(3) > 0 {
					b.request(now)
					all = append(all, event{slot, false})
				} else {
					want := retries < max(100, requests/5)
					if got := b.retry(now); got != want {
						t.Fatalf("with %d requests and %d retries: %v", requests, retries, got)
					}
					if want {
						all = append(all, event{slot, true})
						granted++
					} else {
						refused++
					}
				}
				pause := time.Duration(rnd.IntN(20)) * time.Millisecond
				if rnd.IntN(1000) == 0 {
					pause = time.Duration(rnd.IntN(15)) * time.Second
				}
				time.Sleep(pause)
			}
			if refused == 0 || granted == 0 {
				t.Errorf("%d granted, %d refused: the model tests nothing", granted, refused)
			}
		})
	}
}

func TestBudgetAllocatesNothing(t *testing.T) {
	b := &budget{percent: 20}
	if n := testing.AllocsPerRun(100, func() { b.request(flow.Now()); b.retry(flow.Now()) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// gone is a client that has left, or will.
type gone struct{ at time.Time }

func (g gone) Left() bool { return !time.Now().Before(g.at) }

// Who leaves gives the place back within a tenth of a second, wherever it stood.
func TestQueueLeaver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := build(t, "queue timeout 1m size 2\nserver a 127.0.0.1:1 maxconn 1", Deps{})
		a, _ := acquire(p, &balancer.Ask{})
		start := time.Now()
		causes := make(chan string, 2)
		for range 2 {
			go func() {
				_, cause := acquire(p, &balancer.Ask{Leaver: gone{start.Add(3 * time.Second)}})
				causes <- cause
			}()
		}
		synctest.Wait()
		if _, cause := acquire(p, &balancer.Ask{}); cause != "queue full" {
			t.Errorf("got %s", cause)
		}
		for range 2 {
			if c := <-causes; c != "client left the queue" {
				t.Errorf("got %s", c)
			}
		}
		if d := time.Since(start); d < 3*time.Second || d > 3*time.Second+leaverLook {
			t.Errorf("found out after %v", d)
		}
		if p.Live().Queued() != 0 {
			t.Errorf("%d queued", p.Live().Queued())
		}
		p.Release(a)
		if s, _ := acquire(p, &balancer.Ask{Leaver: gone{start}}); s == nil || p.Live().Active() != 1 {
			t.Error("who gets a slot at once is not asked")
		}
	})
}

// A higher priority goes first, in the pool's line, in a server's, and between
// the two.
func TestQueuePriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := build(t, "queue timeout 1m\nserver a 127.0.0.1:1 maxconn 1", Deps{})
		a, _ := acquire(p, &balancer.Ask{})
		served := make(chan string, 8)
		for i, ask := range []*balancer.Ask{
			{}, {Forced: a}, {Priority: -1}, {Priority: 5, Forced: a}, {Priority: 5}, {Priority: 9}, {Forced: a, Priority: -1},
		} {
			go func() {
				if s, cause := acquire(p, ask); s == nil {
					t.Error(cause)
				}
				served <- fmt.Sprint(i)
			}()
			synctest.Wait()
		}
		got := ""
		for range 7 {
			p.Release(a)
			got += <-served
		}
		p.Release(a)
		if want := "5340126"; got != want {
			t.Errorf("served %s, want %s", got, want)
		}
	})
}
