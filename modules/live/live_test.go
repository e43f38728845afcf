package live

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// thing is a value that knows whether it was closed, and how often.
type thing struct{ closed atomic.Int32 }

func things() *Registry[string, *thing] {
	return New(func(_ string, v *thing) { v.closed.Add(1) })
}

func open() (*thing, error) { return &thing{}, nil }

func must(t *testing.T, r *Registry[string, *thing], tx *Tx, key string) *thing {
	t.Helper()
	v, err := r.Get(tx, key, open)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRollbackClosesOnlyItsOwn(t *testing.T) {
	r := things()
	first := Begin()
	kept := must(t, r, first, "kept")
	first.Commit()

	second := Begin()
	if again := must(t, r, second, "kept"); again != kept {
		t.Error("a second generation got another value")
	}
	opened := must(t, r, second, "opened")
	second.Rollback()
	if kept.closed.Load() != 0 || opened.closed.Load() != 1 {
		t.Errorf("closed: kept %d, opened %d; want 0, 1", kept.closed.Load(), opened.closed.Load())
	}
	first.Rollback() // committed: no effect
	if kept.closed.Load() != 0 {
		t.Error("rollback after commit closed a value")
	}
	first.Release()
	first.Release()
	if kept.closed.Load() != 1 || r.Len() != 0 {
		t.Errorf("closed %d times, %d left; want 1, 0", kept.closed.Load(), r.Len())
	}
}

func TestDroppedValueIsRevived(t *testing.T) {
	r := things()
	one, two, three := Begin(), Begin(), Begin()
	v := must(t, r, one, "a")
	must(t, r, one, "a") // twice in one generation counts once
	one.Commit()
	two.Commit() // does not use it
	if must(t, r, three, "a") != v {
		t.Error("not revived while the first generation drains")
	}
	three.Commit()
	one.Release()
	if v.closed.Load() != 0 {
		t.Error("closed under its new holder")
	}
	two.Release()
	three.Release()
	if v.closed.Load() != 1 {
		t.Errorf("closed %d times, want 1", v.closed.Load())
	}
}

func TestOpenErrorLeavesNothing(t *testing.T) {
	r := things()
	tx, boom := Begin(), errors.New("boom")
	if _, err := r.Get(tx, "a", func() (*thing, error) { return nil, boom }); !errors.Is(err, boom) {
		t.Errorf("got %v, want the opener's error", err)
	}
	tx.Rollback()
	if r.Len() != 0 {
		t.Errorf("%d entries left behind", r.Len())
	}
	if _, err := r.Get(tx, "a", open); !errors.Is(err, ErrSealed) || r.Len() != 0 {
		t.Errorf("after the end: %v with %d entries, want ErrSealed with none", err, r.Len())
	}
}

func TestReleaseGoesBackwards(t *testing.T) {
	var order []string
	r := New(func(k string, _ int) { order = append(order, k) })
	tx := Begin()
	for _, k := range []string{"sink", "pool", "site"} {
		if _, err := r.Get(tx, k, func() (int, error) { return 0, nil }); err != nil {
			t.Fatal(err)
		}
	}
	tx.Commit()
	tx.Release()
	if !slices.Equal(order, []string{"site", "pool", "sink"}) {
		t.Errorf("closed in the order %v", order)
	}
}

// TestModel runs random generations, held for random times, against counts kept
// by hand.
func TestModel(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		r := things()
		type gen struct {
			tx   *Tx
			uses map[string]*thing
		}
		var alive []gen
		held := func(key string) (v *thing) {
			for _, g := range alive {
				if g.uses[key] != nil {
					v = g.uses[key]
				}
			}
			return v
		}
		for range 60 {
			if len(alive) > 0 && rng.IntN(3) == 0 { // a drain ends, in any order
				i := rng.IntN(len(alive))
				g := alive[i]
				alive = slices.Delete(alive, i, i+1)
				g.tx.Release()
				for k, v := range g.uses {
					if want := held(k) == nil; want != (v.closed.Load() == 1) {
						t.Fatalf("seed %d: %s closed %d times, held %v", seed, k, v.closed.Load(), !want)
					}
				}
				continue
			}
			g := gen{Begin(), map[string]*thing{}}
			for range rng.IntN(4) {
				k := fmt.Sprint(rng.IntN(5))
				before := held(k)
				v := must(t, r, g.tx, k)
				if before != nil && v != before {
					t.Fatalf("seed %d: %s was opened again while held", seed, k)
				}
				g.uses[k] = v
			}
			if rng.IntN(3) == 0 {
				g.tx.Rollback()
				for k, v := range g.uses {
					if want := held(k) == nil; want != (v.closed.Load() == 1) {
						t.Fatalf("seed %d: after rollback %s closed %d times", seed, k, v.closed.Load())
					}
				}
				continue
			}
			g.tx.Commit()
			alive = append(alive, g)
		}
		for _, g := range alive {
			g.tx.Release()
		}
		if r.Len() != 0 {
			t.Fatalf("seed %d: %d values left", seed, r.Len())
		}
	}
}

// TestNeverOpenTwice has many goroutines take and drop few keys; a key must
// never be open twice at a time, not even while its close is still under way.
func TestNeverOpenTwice(t *testing.T) {
	var isOpen [3]atomic.Int32
	r := New(func(k int, _ *atomic.Int32) { isOpen[k].Add(-1) })
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 2))
			for range 500 {
				tx := Begin()
				for range 2 {
					k := rng.IntN(len(isOpen))
					n, err := r.Get(tx, k, func() (*atomic.Int32, error) {
						if isOpen[k].Add(1) != 1 {
							t.Error("open twice")
						}
						return &isOpen[k], nil
					})
					if err != nil || n.Load() != 1 {
						t.Errorf("got a value that is open %d times, %v", n.Load(), err)
					}
				}
				if rng.IntN(2) == 0 {
					tx.Rollback()
				} else {
					tx.Commit()
					tx.Release()
				}
			}
		})
	}
	wg.Wait()
	if r.Len() != 0 {
		t.Errorf("%d values left", r.Len())
	}
}
