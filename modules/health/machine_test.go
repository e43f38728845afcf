package health

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Results (+ passed, - failed) and the state after each, U or D.
func TestMachine(t *testing.T) {
	for _, c := range []struct {
		rise, fall    int
		results, want string
	}{
		{2, 3, "-", "D"},                                // the first failure of an unknown server
		{2, 3, "+---", "UUUD"},                          // settled up: three in a row
		{2, 3, "+--+--+---", "UUUUUUUUUD"},              // a success between: not in a row
		{2, 3, "-++", "DDU"},                            // two in a row bring it back
		{2, 3, "-+-++", "DDDDU"},                        // a failure between starts again
		{2, 3, "-++---", "DDUUUD"},                      // and then it is settled
		{1, 1, "+-+-", "UDUD"},                          //
		{3, 2, "--+++-", "DDDDUU"},                      //
		{2, 3, "-----" + "+" + "-" + "++", "DDDDDDDDU"}, // however long it was down
	} {
		m := NewMachine(c.rise, c.fall)
		got := ""
		for _, r := range c.results {
			got += m.Note(r == '+').String()[:1]
		}
		if want := strings.ReplaceAll(c.want, " ", ""); got != want {
			t.Errorf("rise %d fall %d %s: %s, want %s", c.rise, c.fall, c.results, got, want)
		}
	}
}

// The model: up turns to down after fall failures in a row, down to up after rise
// successes in a row; but an unknown server needs one failure only.
func TestMachineModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		rise, fall := 1+rnd.IntN(5), 1+rnd.IntN(5)
		m := NewMachine(rise, fall)
		up, passes, failures := true, 0, fall-1
		for range 200 {
			ok := rnd.IntN(3) > 0
			if ok {
				passes, failures = passes+1, 0
			} else {
				passes, failures = 0, failures+1
			}
			if up && failures >= fall {
				up, passes = false, 0
			} else if !up && passes >= rise {
				up, failures = true, 0
			}
			got := m.Note(ok)
			if m.Counter < 0 || m.Counter > rise+fall-1 {
				t.Fatalf("counter %d", m.Counter)
			}
			if (got == upstream.Up) != up {
				t.Fatalf("rise %d fall %d: %v, model says up=%v", rise, fall, got, up)
			}
		}
	}
}

func TestResume(t *testing.T) {
	for _, c := range []struct {
		verdict     upstream.Verdict
		counter     int
		want        int
		wantVerdict upstream.Verdict
	}{
		{upstream.Up, 9, 4, upstream.Up},
		{upstream.Up, 0, 2, upstream.Up},
		{upstream.Down, 9, 1, upstream.Down},
		{upstream.Down, 0, 0, upstream.Down},
	} {
		m := NewMachine(2, 3)
		m.Resume(c.verdict, c.counter)
		if m.Counter != c.want || m.Verdict() != c.wantVerdict {
			t.Errorf("%v at %d: counter %d %v", c.verdict, c.counter, m.Counter, m.Verdict())
		}
	}
}

func TestCadence(t *testing.T) {
	s := Settings{Interval: 5, Fast: 2, Down: 9}
	for counter, want := range []int64{9, 2, 2, 2, 5} {
		m := Machine{Rise: 2, Fall: 3, Counter: counter}
		if got := int64(s.Next(&m)); got != want {
			t.Errorf("counter %d: %d, want %d", counter, got, want)
		}
	}
	only := Settings{Interval: 5}
	for counter := range 5 {
		m := Machine{Rise: 2, Fall: 3, Counter: counter}
		if got := only.Next(&m); got != 5 {
			t.Errorf("counter %d: %v without the others", counter, got)
		}
	}
}

// The initial states, and what the first results make of them.
func TestInitialStates(t *testing.T) {
	for _, c := range []struct {
		initial Initial
		start   upstream.Verdict
		results string
		want    string
	}{
		{InitialUp, upstream.Up, "-", "D"},
		{InitialUp, upstream.Up, "+--", "UUU"},
		{InitialDown, upstream.Down, "+", "U"},
		{InitialDown, upstream.Down, "-++", "DDU"},
		{FullyUp, upstream.Up, "---", "UUD"},
		{FullyDown, upstream.Down, "++", "DU"},
	} {
		m := NewMachine(2, 3)
		m.Begin(c.initial)
		if m.Verdict() != c.start {
			t.Errorf("%d starts %s", c.initial, m.Verdict())
		}
		got := ""
		for _, r := range c.results {
			got += m.Note(r == '+').String()[:1]
		}
		if got != c.want {
			t.Errorf("%d %s: %s, want %s", c.initial, c.results, got, c.want)
		}
	}
}
