package file

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/logging"
)

// rotating opens a file with a rotation.
func rotating(t *testing.T, path, options string) logging.Sink {
	t.Helper()
	s, err := module(t, "file").Open(logging.Key{Kind: "file", Target: path, Options: options})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// fill offers n lines, none of which is dropped.
func fill(t *testing.T, s logging.Sink, n int) {
	t.Helper()
	for i := 0; i < n; i += 1000 {
		offer(s, i, min(i+1000, n))
		until(t, "room", func() bool { return s.Stats().Held < 1000 })
	}
}

// TestRotateBySize: no file is larger than it may be, there are never more than
// wanted, and together they hold the newest lines, in order, with none missing.
func TestRotateBySize(t *testing.T) {
	const size, keep, n = 64 << 10, 2, 50_000
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	s := rotating(t, path, "65536 2 0")
	fill(t, s, n)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got := s.Stats(); got != (logging.Stats{Delivered: n}) {
		t.Errorf("%+v", got)
	}
	files, _ := os.ReadDir(dir)
	if len(files) != keep+1 {
		t.Errorf("%v", files)
	}
	all := ""
	for _, f := range []string{path + ".2", path + ".1", path} {
		text := read(t, f)
		if len(text) > size {
			t.Errorf("%s has %d bytes", f, len(text))
		}
		all += text
	}
	if len(all) < keep*size/2 || !strings.HasSuffix(lines(0, n), "\n"+all) {
		t.Errorf("%d bytes are not the newest: %.50q", len(all), all)
	}
}

func TestRotateByAge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	tg, err := open(path, rotation{size: 1 << 20, keep: 3, age: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer tg.Close()
	deliver := func(text string) {
		t.Helper()
		if n, err := tg.Deliver([]logging.Line{{Text: []byte(text)}}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	deliver("a")
	deliver("b")
	tg.born = tg.born.Add(-time.Hour)
	deliver("c")
	if read(t, path) != "c\n" || read(t, path+".1") != "a\nb\n" {
		t.Errorf("%q and %q", read(t, path), read(t, path+".1"))
	}
	// What is there from before a restart counts.
	again, err := open(path, rotation{size: 3, keep: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if n, err := again.Deliver([]logging.Line{{Text: []byte("d")}}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if read(t, path) != "d\n" || read(t, path+".1") != "c\n" || read(t, path+".2") != "a\nb\n" {
		t.Errorf("%q", read(t, path))
	}
}

// TestRotateFails: a file that cannot be moved costs lines, not disk.
func TestRotateFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	if err := os.MkdirAll(filepath.Join(path+".1", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := rotating(t, path, "65536 1 0")
	n := uint64(0)
	until(t, "drops", func() bool {
		offer(s, 0, 1000)
		n += 1000
		return s.Stats().Dropped > 0
	})
	_ = s.Close()
	if got := s.Stats(); got.Delivered+got.Dropped != n || got.Held != 0 {
		t.Errorf("%+v of %d", got, n)
	}
	if text := read(t, path); len(text) > 65536 || uint64(strings.Count(text, "\n")) != s.Stats().Delivered {
		t.Errorf("%d bytes, %+v", len(text), s.Stats())
	}
}

func TestRotateOption(t *testing.T) {
	o := config.Node{Word: "rotate", Options: []config.Node{
		{Word: "size", Args: []config.Value{{Int: 5}}}, {Word: "keep", Args: []config.Value{{Int: 2}}},
		{Word: "age", Args: []config.Value{{Int: 7}}},
	}}
	if r := parseRotation(rotationOf(&config.Node{Options: []config.Node{o}})); r != (rotation{5, 2, 7}) {
		t.Errorf("%+v", r)
	}
	if r := parseRotation(rotationOf(&config.Node{})); r != (rotation{}) {
		t.Errorf("%+v", r)
	}
}
