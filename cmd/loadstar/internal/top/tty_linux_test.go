package top

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// openPTY gives both ends of a pseudo terminal (pty(7)).
func openPTY(t *testing.T, width, height uint16) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminals here: ", err)
	}
	t.Cleanup(func() { master.Close() })
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if e := raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); e != nil || err != nil {
		t.Fatal(e, err)
	}
	resize(t, master, width, height)
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

func resize(t *testing.T, master *os.File, width, height uint16) {
	t.Helper()
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if e := raw.Control(func(fd uintptr) {
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: height})
	}); e != nil || err != nil {
		t.Fatal(e, err)
	}
}

// screen shows what a terminal would: it knows the few controls that are used.
type screen struct {
	mu    sync.Mutex
	lines []string
	all   strings.Builder // everything that came
}

func (s *screen) read(master *os.File) {
	buf := make([]byte, 64<<10)
	rest := ""
	for {
		n, err := master.Read(buf)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.all.Write(buf[:n])
		rest += string(buf[:n])
		// A whole frame goes from home to "erase below".
		for {
			from := strings.Index(rest, "\x1b[H")
			to := strings.Index(rest, "\x1b[J")
			if from < 0 || to < from {
				break
			}
			frame := rest[from+3 : to]
			rest = rest[to+3:]
			for _, code := range []string{plain, bold, faint, inverse, red, yellow, reset, "\x1b[K"} {
				if code != "" {
					frame = strings.ReplaceAll(frame, code, "")
				}
			}
			s.lines = strings.Split(frame, "\r\n")
		}
		s.mu.Unlock()
	}
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out strings.Builder
	for _, l := range s.lines {
		out.WriteString(strings.TrimRight(l, " ") + "\n")
	}
	return out.String()
}

func (s *screen) shows(t *testing.T, want string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !strings.Contains(s.String(), want); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never showed %q:\n%s", want, s)
		}
	}
}

// begin runs the screen on a terminal.
func begin(t *testing.T) (master *os.File, s *screen, src *source, ended chan error, same func() bool) {
	t.Helper()
	master, slave := openPTY(t, 120, 20)
	before, err := term.GetState(int(slave.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	src = &source{census: farm(), acted: make(chan Action, 9)}
	src.census.Process.Started = time.Now().Add(-90 * time.Minute)
	s = &screen{}
	go s.read(master)
	ended = make(chan error, 1)
	go func() { ended <- Run(context.Background(), slave, slave, src, time.Hour) }()
	return master, s, src, ended, func() bool {
		after, err := term.GetState(int(slave.Fd()))
		return err == nil && reflect.DeepEqual(before, after)
	}
}

func TestScreen(t *testing.T) {
	master, s, src, ended, same := begin(t)
	s.shows(t, "three")
	if same() {
		t.Error("the terminal is not raw")
	}
	golden := filepath.Join("testdata", "screen.txt")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, []byte(s.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.String(); got != string(want) {
		t.Errorf("the screen is\n%s\nwant\n%s", got, want)
	}
	write := func(keys string) {
		t.Helper()
		if _, err := master.WriteString(keys); err != nil {
			t.Fatal(err)
		}
	}
	write("\x1b[Bd")
	if a := <-src.acted; a != (Action{Do: "drain", Pool: "web", Server: "two"}) {
		t.Errorf("done: %+v", a)
	}
	s.shows(t, "web/two: drain")
	write("w9000\r")
	if a := <-src.acted; a.Weight != "9000" {
		t.Errorf("done: %+v", a)
	}
	s.shows(t, `"9000" is no weight`)
	write("/thr")
	s.shows(t, "filter: thr_")
	if all := s.String(); strings.Contains(all, "smtp") || !strings.Contains(all, "three") {
		t.Errorf("not filtered:\n%s", all)
	}
	write("\x1b")
	s.shows(t, "smtp")
	resize(t, master, 60, 12)
	// The kernel tells the terminal's foreground group only; this test is in none.
	_ = syscall.Kill(os.Getpid(), syscall.SIGWINCH)
	s.shows(t, "loadstar 1.0  up 1h30m  generation 3  connections 42/1000  …")
	write("q")
	end(t, s, ended, same)
}

// A signal leaves the terminal as it was, too.
func TestScreenEndsBySignal(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		_, s, _, ended, same := begin(t)
		s.shows(t, "three")
		if err := syscall.Kill(os.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
		end(t, s, ended, same)
	}
}

func end(t *testing.T, s *screen, ended chan error, same func() bool) {
	t.Helper()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
	}
	if !same() {
		t.Error("the terminal is not as it was")
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		all := s.all.String()
		s.mu.Unlock()
		if strings.HasSuffix(all, "\x1b[?25h\x1b[?1049l") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the cursor stays hidden: %q", all[max(0, len(all)-60):])
		}
	}
}

func TestNoTerminal(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := Run(context.Background(), null, null, &source{}, time.Second); err != ErrNoTerminal {
		t.Error(fmt.Sprint(err))
	}
}
