package history

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/diag"
)

func entry(text string) Entry {
	s := &diag.Sources{}
	s.Add("/etc/sites/a.lb", "# a\n")
	s.Add("/etc/Lbfile", text)
	return NewEntry("/etc/Lbfile", "test", s)
}

func TestLog(t *testing.T) {
	var l Log
	if _, ok := l.Current(); ok {
		t.Error("something in force before the first")
	}
	one := l.Add(entry("one\n"))
	if again := l.Add(entry("one\n")); again != one || len(l.List()) != 1 {
		t.Error("the same configuration counts twice")
	}
	if _, ok := l.Previous(); ok {
		t.Error("something before the first")
	}
	l.Add(entry("two\n"))
	if p, ok := l.Previous(); !ok || p.Text() != "one\n" {
		t.Errorf("before: %q", p.Text())
	}
	for i := range 3 * MaxEntries {
		l.Add(entry(fmt.Sprintln(i)))
	}
	all := l.List()
	if len(all) != MaxEntries || all[0].Text() != fmt.Sprintln(3*MaxEntries-1) || all[0].Number != 3*MaxEntries+2 {
		t.Errorf("%d kept, the newest is %d: %q", len(all), all[0].Number, all[0].Text())
	}
	if _, ok := l.Get(one); ok {
		t.Error("the oldest is still there")
	}
	if e, ok := l.Get(all[3].Number); !ok || e.Hash != all[3].Hash {
		t.Error("not found by its number")
	}
}

func TestLogIsBounded(t *testing.T) {
	var l Log
	for i := range 8 {
		l.Add(entry(fmt.Sprint(i) + strings.Repeat("x", MaxBytes/4)))
	}
	if n := len(l.List()); n != 3 {
		t.Errorf("%d kept, want 3", n)
	}
	for i := range 3 {
		l.Add(entry(fmt.Sprint(i) + strings.Repeat("y", MaxBytes)))
	}
	if n := len(l.List()); n != 2 {
		t.Errorf("%d kept, want the one in force and the one before it", n)
	}
}

func TestDiffAndFiles(t *testing.T) {
	a, b := entry("one\ntwo\nthree\n"), entry("one\nTWO\nthree\n")
	d := Diff(&a, &b)
	if !strings.Contains(d, "-two\n+TWO\n") || !strings.Contains(d, "/etc/Lbfile") || strings.Contains(d, "sites") {
		t.Errorf("diff:\n%s", d)
	}
	if Diff(&a, &a) != "" {
		t.Error("a configuration differs from itself")
	}
	if got, err := a.FS().ReadFile("/etc/sites/a.lb"); err != nil || string(got) != "# a\n" {
		t.Error(string(got), err)
	}
	if _, err := a.FS().ReadFile("/etc/passwd"); err == nil {
		t.Error("reads what was no part of it")
	}
	if got, err := a.FS().Glob("/etc/sites/*.lb"); err != nil || len(got) != 1 {
		t.Error(got, err)
	}
	if a.Files[0].Name != "/etc/Lbfile" || a.Hash == b.Hash {
		t.Error("wrong order, or equal hashes")
	}
}

// Nobody confirms: it goes back by itself, on time, and tries again if it must.
func TestGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Confirm
		var mu sync.Mutex
		var made []time.Duration
		calls := func() []time.Duration {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(made)
		}
		forget := func() {
			mu.Lock()
			defer mu.Unlock()
			made = nil
		}
		begin := time.Now()
		await := func(fail int) {
			c.Await(Pending{Number: 2, BackTo: 1, Deadline: time.Now().Add(time.Minute)}, func() error {
				mu.Lock()
				defer mu.Unlock()
				made = append(made, time.Since(begin))
				if len(made) <= fail {
					return errors.New("not now")
				}
				return nil
			})
		}
		await(0)
		time.Sleep(time.Minute - time.Millisecond)
		synctest.Wait()
		if p, ok := c.Pending(); !ok || p.BackTo != 1 || len(calls()) != 0 {
			t.Errorf("too early: %v", calls())
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if _, ok := c.Pending(); ok || len(calls()) != 1 || calls()[0] != time.Minute {
			t.Errorf("went back after %v", calls())
		}

		forget()
		begin = time.Now()
		await(2)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if fmt.Sprint(calls()) != "[1m0s 1m10s 1m20s]" {
			t.Errorf("tried after %v", calls())
		}

		forget()
		await(0)
		if p, err := c.Done(); err != nil || p.Number != 2 {
			t.Error(p, err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(calls()) != 0 {
			t.Error("went back although it was confirmed")
		}
		if _, err := c.Done(); !errors.Is(err, ErrNothingPending) {
			t.Errorf("confirmed twice: %v", err)
		}
		await(0)
		if !c.Drop() || c.Drop() {
			t.Error("dropped wrongly")
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(calls()) != 0 {
			t.Error("went back although another configuration came")
		}
	})
}
