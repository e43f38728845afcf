package acme

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// swift gives a storage whose locks are fast.
func swift(dir string) *Files {
	s := NewFiles(dir)
	s.beat, s.stale, s.look = 20*time.Millisecond, 2*time.Second, 2*time.Millisecond
	return s
}

func TestFiles(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := NewFiles(filepath.Join(t.TempDir(), "deep", "down"))
	if err := s.writable(); err != nil {
		t.Error(err)
	}
	if _, err := s.Load(ctx, "a/b"); !missing(err) {
		t.Errorf("absent: %v", err)
	}
	for _, k := range []string{"a/b", "a/c/d", "e"} {
		if err := s.Store(ctx, k, []byte(k)); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := s.Load(ctx, "a/c/d"); string(b) != "a/c/d" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	flat, err := s.List(ctx, "a", false)
	if err != nil || !slices.Equal(flat, []string{"a/b", "a/c"}) {
		t.Errorf("%v %v", flat, err)
	}
	all, err := s.List(ctx, "a", true)
	if err != nil || !slices.Equal(all, []string{"a/b", "a/c", "a/c/d"}) {
		t.Errorf("%v %v", all, err)
	}
	if i, err := s.Stat(ctx, "a"); err != nil || !i.Dir {
		t.Errorf("%+v %v", i, err)
	}
	if i, err := s.Stat(ctx, "e"); err != nil || i.Dir || i.Size != 1 {
		t.Errorf("%+v %v", i, err)
	}
	for _, k := range []string{"a", "gone"} {
		if err := s.Delete(ctx, k); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Stat(ctx, "a/c/d"); !missing(err) {
		t.Errorf("deleted: %v", err)
	}
	for _, k := range []string{"", "../out", "a/../../out", "/etc/out", "a//b"} {
		if err := s.Store(ctx, k, nil); err == nil {
			t.Errorf("%s was stored", k)
		}
	}
	if err := s.Delete(ctx, "."); err != nil {
		t.Error(err)
	}
	if _, err := s.Load(ctx, "e"); err != nil {
		t.Errorf("all there is was deleted: %v", err)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(s.Dir, "link")); err != nil {
		t.Fatal(err)
	}
	if b, err := s.Load(ctx, "link"); err == nil {
		t.Errorf("a link led out: %q", b)
	}
	file := filepath.Join(s.Dir, "e")
	if err := NewFiles(file).writable(); err == nil {
		t.Error("a file can be written to as a directory")
	}
}

// Who holds a lock is alone, on one storage and on two of one directory.
func TestLockExcludes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	nodes := []*Files{swift(dir), swift(dir)}
	var inside, most, turns atomic.Int64
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 5 {
				unlock, err := nodes[i%2].Lock(t.Context(), "issue_cert_*.example.com/x")
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n > most.Load() {
					most.Store(n)
				}
				turns.Add(1)
				inside.Add(-1)
				if err := unlock(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if most.Load() != 1 || turns.Load() != 40 {
		t.Errorf("%d inside at a time, %d turns", most.Load(), turns.Load())
	}
}

// A lock outlives its holder for a while only; a living holder keeps it.
func TestLockOfTheDead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := swift(dir)
	s.stale = 300 * time.Millisecond
	dead := filepath.Join(dir, "locks", "x.lock")
	if err := os.MkdirAll(filepath.Dir(dead), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "SOMEBODY 7\n"} { // one died before it could write
		if err := os.WriteFile(dead, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		unlock, err := s.Lock(ctx, "x")
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if err := unlock(); err != nil {
			t.Error(err)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "locks", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}

	unlock, err := s.Lock(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*s.stale)
	defer cancel()
	patient := swift(dir)
	if _, err := patient.Lock(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("taken from a living holder: %v", err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

// Who takes over a lock that was renewed meanwhile puts it back.
func TestTakeOverPutsBack(t *testing.T) {
	t.Parallel()
	s := swift(t.TempDir())
	unlock, err := s.Lock(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.Dir, "locks", "x.lock")
	takeOver(s.root, "locks/x.lock", "SOMEBODY ELSE 7\n")
	if text, err := holder(s.root, "locks/x.lock"); err != nil || !strings.Contains(text, " ") {
		t.Errorf("the lock is gone: %v", err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !missing(err) {
		t.Errorf("still locked: %v", err)
	}
	// A holder whose lock was taken over does not remove the new holder's.
	first, err := s.Lock(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second, err := s.Lock(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if err := first(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the new holder's lock is gone: %v", err)
	}
	if err := second(); err != nil {
		t.Error(err)
	}
}

// A directory that was taken away is made anew; one that was given is held fast, even
// if another takes its name.
func TestFilesMoved(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := filepath.Join(t.TempDir(), "acme")
	s := NewFiles(dir)
	put := func(key string) {
		t.Helper()
		if err := s.Store(ctx, key, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	put("a")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(ctx, "a"); !missing(err) {
		t.Errorf("taken away: %v", err)
	}
	put("b")
	if err := s.Give(os.Getuid(), os.Getgid()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir, dir+"-moved"); err != nil {
		t.Fatal(err)
	}
	put("c")
	if _, err := os.Stat(filepath.Join(dir+"-moved", "c")); err != nil {
		t.Errorf("not where it was: %v", err)
	}
	if err := s.writable(); err != nil {
		t.Error(err)
	}
}
