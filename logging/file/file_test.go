package file

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/logging"
)

// module gives the sink of a kind.
func module(t *testing.T, kind string) logging.SinkModule {
	t.Helper()
	for _, m := range Modules() {
		if m.Spec.Name == kind {
			return m
		}
	}
	t.Fatal("no sink ", kind)
	return logging.SinkModule{}
}

func openFile(t *testing.T, path string) logging.Sink {
	t.Helper()
	s, err := module(t, "file").Open(logging.Key{Kind: "file", Target: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// offer writes the lines from-to.
func offer(s logging.Sink, from, to int) {
	for i := from; i < to; i++ {
		s.Write(logging.Info, fmt.Appendf(nil, "line %d", i))
	}
}

// until waits for a condition, failing after ten seconds.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain for ", what)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func lines(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.String()
}

func TestFileAppends(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	if err := os.WriteFile(path, []byte("old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openFile(t, path)
	offer(s, 0, 4000)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got := read(t, path); got != "old\n"+lines(0, 4000) {
		t.Errorf("got %d bytes: %.100q", len(got), got)
	}
	if got := s.Stats(); got != (logging.Stats{Delivered: 4000}) {
		t.Errorf("%+v", got)
	}
}

func TestFileIsCreatedForOwnerAndGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	openFile(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o137 != 0 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestFileReopens: after Reopen every line goes to the file of that name, and none is
// lost between the two.
func TestFileReopens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	s := openFile(t, path)
	offer(s, 0, 100)
	until(t, "the first lines", func() bool { return s.Stats().Held == 0 })
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	s.Reopen()
	offer(s, 100, 200)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got := read(t, path+".1"); got != lines(0, 100) {
		t.Errorf("the old file has %.200q", got)
	}
	if got := read(t, path); got != lines(100, 200) {
		t.Errorf("the new file has %.200q", got)
	}
}

// TestFileNoticesRotation: without being told, the sink follows its name after a rename,
// a removal, and the return of a directory that was removed; every line offered is in one
// of the files or counted.
func TestFileNoticesRotation(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	path := filepath.Join(dir, "a.log")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(dir, 0o700))
	s := openFile(t, path)
	n := 0
	flows := func() bool { // until a line arrives under the name
		offer(s, n, n+1)
		n++
		_, err := os.Stat(path)
		return err == nil
	}
	until(t, "the first file", flows)
	must(os.Rename(path, path+".1"))
	until(t, "a file after the rename", flows)
	must(os.Rename(path, path+".2"))
	must(os.WriteFile(path, nil, 0o600)) // logrotate's "create"
	until(t, "lines in the file that rotation made", func() bool { flows(); return read(t, path) != "" })
	until(t, "the lines on their way", func() bool { return s.Stats().Held == 0 })
	kept := read(t, path+".1") + read(t, path+".2") + read(t, path)
	must(os.RemoveAll(dir))
	before := s.Stats().Delivered
	if uint64(strings.Count(kept, "\n")) != before {
		t.Errorf("%d lines in the files, %d delivered", strings.Count(kept, "\n"), before)
	}
	// Lines are held once the sink has noticed.
	until(t, "lines to be held", func() bool { offer(s, n, n+1); n++; return s.Stats().Held > 300 })
	must(os.Mkdir(dir, 0o700))
	until(t, "a file in the new directory", flows)
	must(s.Close())
	if got := s.Stats(); got.Delivered+got.Dropped != uint64(n) || got.Dropped != 0 {
		t.Errorf("%+v of %d", got, n)
	}
	if got := read(t, path); !strings.HasSuffix(got, fmt.Sprintf("line %d\n", n-1)) {
		t.Errorf("the last line is not there: %.200q", got)
	}
}

// TestFileOnAFullDisk: nobody waits, drops are counted exactly, and what was held
// arrives when there is room again.
func TestFileOnAFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here: the full disk was not tried")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	s := openFile(t, path)
	const n = 10_000
	offer(s, 0, n)
	stats := s.Stats()
	if stats.Delivered != 0 || stats.Dropped+stats.Held != n || stats.Dropped == 0 {
		t.Errorf("%+v", stats)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	until(t, "the lines held", func() bool { return s.Stats().Held == 0 })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	stats = s.Stats()
	if stats.Delivered+stats.Dropped != n {
		t.Errorf("%+v of %d", stats, n)
	}
	if got := read(t, path); got != lines(0, int(stats.Delivered)) {
		t.Errorf("%d lines in the file, %d delivered", strings.Count(got, "\n"), stats.Delivered)
	}
}

// TestPartialWrites: a file that takes a few bytes at a time, as a disk that is filling
// does, gets every line whole and once.
func TestPartialWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	tg, err := open(path, rotation{})
	if err != nil {
		t.Fatal(err)
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old) }()
	var batch []logging.Line
	for i := range 20 {
		batch = append(batch, logging.Line{Text: fmt.Appendf(nil, "line %d", i)})
	}
	short := 0
	for limit := uint64(0); len(batch) > 0; limit += 5 {
		if limit > 1000 {
			t.Fatal("no end")
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: old.Max}); err != nil {
			t.Fatal(err)
		}
		n, err := tg.Deliver(batch)
		if err != nil && !errors.Is(err, syscall.EFBIG) {
			t.Fatal(err)
		}
		if err != nil {
			short++
		}
		batch = batch[n:]
	}
	if short < 10 {
		t.Errorf("%d short writes: the limit was not felt", short)
	}
	if got := read(t, path); got != lines(0, 20) {
		t.Errorf("got %q", got)
	}
	_ = tg.Close()
}

// TestFileRefusedAtLoad: what cannot be opened at all is an error of the configuration, and a
// FIFO without a reader does not hold up the load.
func TestFileRefusedAtLoad(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "absent", "a.log"), fifo} {
		if s, err := module(t, "file").Open(logging.Key{Kind: "file", Target: path}); err == nil {
			_ = s.Close()
			t.Errorf("%s was opened", path)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("%v does not name %s", err, path)
		}
	}
}

// TestPipeWithoutAReader: a standard output that nobody reads, or whose reader is gone,
// delays nothing and does not end the process; lines not taken are counted.
func TestPipeWithoutAReader(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	tg, err := duplicate(int(w.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	s := logging.NewQueue(logging.Key{Kind: "stdout"}, tg)
	const n = 50_000
	text := make(chan string)
	offer(s, 0, n)
	stats := s.Stats()
	if stats.Dropped == 0 || stats.Dropped+stats.Held+stats.Delivered != n {
		t.Errorf("%+v", stats)
	}
	go func() {
		b, _ := io.ReadAll(r)
		text <- string(b)
	}()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	stats = s.Stats()
	if got := strings.Count(<-text, "\n"); uint64(got) != stats.Delivered || stats.Delivered+stats.Dropped != n {
		t.Errorf("%d lines read, %+v of %d", got, stats, n)
	}

	r, w, err = os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	tg, err = duplicate(int(w.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	_ = r.Close()
	s = logging.NewQueue(logging.Key{Kind: "stdout"}, tg)
	offer(s, 0, 10)
	if err := s.Close(); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("close gave %v", err)
	}
	if got := s.Stats(); got != (logging.Stats{Dropped: 10}) {
		t.Errorf("%+v", got)
	}
}

func TestKey(t *testing.T) {
	m := module(t, "file")
	for _, c := range []struct{ file, path, want string }{
		{"/etc/loadstar/Lbfile", "/var/log/a.log", "/var/log/a.log"},
		{"/etc/loadstar/Lbfile", "a.log", "/etc/loadstar/a.log"},
		{"/etc/loadstar/Lbfile", "../a.log", "/etc/a.log"},
		{"/etc/loadstar/Lbfile", "/var//log/./a.log", "/var/log/a.log"},
	} {
		n := config.Node{Args: []config.Value{{Text: c.path, Range: diag.Range{File: c.file}}}}
		if k, err := m.Key(&n); err != nil || k != (logging.Key{Kind: "file", Target: c.want}) {
			t.Errorf("%s in %s: %v, %v", c.path, c.file, k, err)
		}
	}
	if k, err := module(t, "stderr").Key(&config.Node{}); err != nil || k.String() != "stderr" {
		t.Errorf("stderr: %v, %v", k, err)
	}
}
