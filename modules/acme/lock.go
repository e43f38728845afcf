package acme

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// lock is a file that is there while the lock is held. Its holder writes a number
// into it, ever again; who waits takes it over when the number has stood still for
// a while by his own clock, so that clocks which differ do no harm. The holder
// writes through the descriptor that made the file: once it has been taken over,
// that reaches nobody.
type lock struct {
	file  *os.File
	root  *os.Root
	path  string // in it
	token string
	stop  chan struct{}
	done  chan struct{}
}

// Lock implements Storage.
func (s *Files) Lock(ctx context.Context, name string) (func() error, error) {
	root, err := s.open(true)
	if err != nil {
		return nil, err
	}
	if err := root.MkdirAll("locks", 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join("locks", lockName(name))
	seen, since := "", time.Time{}
	for {
		l, err := s.create(root, path)
		if err == nil {
			return l.release, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		state, err := holder(root, path)
		switch {
		case missing(err):
			continue // released just now
		case err != nil:
			return nil, err
		case state != seen || since.IsZero():
			seen, since = state, time.Now()
		case time.Since(since) >= s.stale:
			takeOver(root, path, state)
			since = time.Time{}
			continue
		}
		t := time.NewTimer(s.look)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		case <-t.C:
		}
	}
}

// lockName makes a file name of a lock's name.
func lockName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || r == os.PathSeparator || r < ' ' {
			return '_'
		}
		return r
	}, name) + ".lock"
}

// create takes a lock that nobody holds; fs.ErrExist if somebody does.
func (s *Files) create(root *os.Root, path string) (*lock, error) {
	f, err := root.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	l := &lock{file: f, root: root, path: path, token: rand.Text(), stop: make(chan struct{}), done: make(chan struct{})}
	if err := l.write(0); err != nil {
		_ = f.Close()
		_ = root.Remove(path)
		return nil, err
	}
	go l.live(s.beat)
	return l, nil
}

func (l *lock) write(n uint64) error {
	if _, err := l.file.WriteAt([]byte(fmt.Sprintf("%s %020d\n", l.token, n)), 0); err != nil {
		return err
	}
	return l.file.Sync() // for those who see the file through a network
}

// live counts until the lock is let go of. A write that fails is tried again: the
// worst that can come of it is that somebody takes the lock over.
func (l *lock) live(beat time.Duration) {
	defer close(l.done)
	t := time.NewTicker(beat)
	defer t.Stop()
	for n := uint64(1); ; n++ {
		select {
		case <-l.stop:
			return
		case <-t.C:
			_ = l.write(n)
		}
	}
}

// release lets go. It removes nobody else's lock.
func (l *lock) release() error {
	close(l.stop)
	<-l.done
	mine, err := l.file.Stat()
	if err == nil {
		var there os.FileInfo
		if there, err = l.root.Stat(l.path); err == nil && os.SameFile(mine, there) {
			err = l.root.Remove(l.path)
		}
	}
	_ = l.file.Close()
	if missing(err) {
		return nil
	}
	return err
}

// holder gives what the holder of a lock wrote last.
func holder(root *os.Root, path string) (string, error) {
	b, err := root.ReadFile(path)
	return string(b), err
}

// takeOver moves a lock away whose holder is gone. Should another have done so
// meanwhile, and hold it anew, that one's lock is put back.
func takeOver(root *os.Root, path, state string) {
	away := path + "." + rand.Text()
	if root.Rename(path, away) != nil {
		return
	}
	if now, err := holder(root, away); err == nil && now != state {
		_ = root.Link(away, path)
	}
	_ = root.Remove(away)
}

// mayWrite asks the kernel whether files could be made in a directory.
func mayWrite(dir string) error {
	const writeAndSearch = 2 | 1 // access(2): W_OK, X_OK
	if err := syscall.Access(dir, writeAndSearch); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return nil
}
