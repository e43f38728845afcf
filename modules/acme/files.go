package acme

import (
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/loadstar-lb/loadstar/modules/certs"
)

// Files is a Storage of files in a directory, which may be on a file system that
// several nodes share. Only its owner can read it: private keys are in it. Nothing
// leads out of it, not a key, and not a link.
type Files struct {
	Dir string
	// beat is how often a lock shows that its holder lives, stale how long one may
	// stand still before it is taken over, look how often those who wait look.
	beat, stale, look time.Duration

	mu     sync.Mutex
	root   *os.Root // nil until it is used
	pinned bool     // root is right, whatever the path leads to
}

// NewFiles gives the Storage of a directory, which is made when something is stored.
func NewFiles(dir string) *Files {
	return &Files{Dir: dir, beat: 5 * time.Second, stale: 20 * time.Second, look: 250 * time.Millisecond}
}

// open gives the directory. One that was replaced is opened anew.
func (s *Files) open(make bool) (*os.Root, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.root != nil && (s.pinned || s.same()) {
		return s.root, nil
	}
	if make {
		if err := certs.MakeState(s.Dir); err != nil {
			return nil, err
		}
	}
	root, err := os.OpenRoot(s.Dir)
	if err == nil {
		s.root = root // the one before is closed when nobody uses it any more
	}
	return root, err
}

func (s *Files) same() bool {
	there, err := os.Stat(s.Dir)
	if err != nil {
		return false
	}
	held, err := s.root.Stat(".")
	return err == nil && os.SameFile(there, held)
}

// name gives the file of a key.
func name(key string) (string, error) {
	if !fs.ValidPath(key) {
		return "", fmt.Errorf("%q is no key of a storage", key)
	}
	return filepath.FromSlash(key), nil
}

// at gives the directory and the file of a key in it.
func (s *Files) at(key string, make bool) (*os.Root, string, error) {
	file, err := name(key)
	if err != nil {
		return nil, "", err
	}
	root, err := s.open(make)
	return root, file, err
}

// Load implements Storage.
func (s *Files) Load(_ context.Context, key string) ([]byte, error) {
	root, file, err := s.at(key, false)
	if err != nil {
		return nil, err
	}
	return root.ReadFile(file)
}

// Store implements Storage: a reader sees the former value or this one.
func (s *Files) Store(_ context.Context, key string, value []byte) error {
	root, file, err := s.at(key, true)
	if err != nil {
		return err
	}
	if err := root.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	fresh := filepath.Join(filepath.Dir(file), unfinished+rand.Text())
	f, err := root.OpenFile(fresh, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(value)
	if err == nil {
		err = f.Sync() // a certificate that was paid for with a rate limit must survive a crash
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = root.Rename(fresh, file)
	}
	if err != nil {
		_ = root.Remove(fresh)
	}
	return err
}

// unfinished begins the names of files that are being written.
const unfinished = ".new-"

// Delete implements Storage.
func (s *Files) Delete(_ context.Context, key string) error {
	root, file, err := s.at(key, false)
	switch {
	case missing(err) || err == nil && file == ".": // never all there is
		return nil
	case err != nil:
		return err
	}
	return root.RemoveAll(file)
}

// List implements Storage.
func (s *Files) List(ctx context.Context, prefix string, recursive bool) ([]string, error) {
	if prefix == "" {
		prefix = "."
	}
	root, _, err := s.at(prefix, false)
	if err != nil {
		return nil, err
	}
	var keys []string
	err = fs.WalkDir(root.FS(), prefix, func(key string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case key == prefix || strings.HasPrefix(d.Name(), unfinished):
			return nil
		}
		keys = append(keys, key)
		if d.IsDir() && !recursive {
			return fs.SkipDir
		}
		return nil
	})
	return keys, err
}

// Stat implements Storage.
func (s *Files) Stat(_ context.Context, key string) (Info, error) {
	root, file, err := s.at(key, false)
	if err != nil {
		return Info{}, err
	}
	i, err := root.Stat(file)
	if err != nil {
		return Info{}, err
	}
	return Info{Modified: i.ModTime(), Size: i.Size(), Dir: i.IsDir()}, nil
}

// Give makes the directory another user's, and all that is in it. From then on it is
// this directory, even if its path leads elsewhere, as after chroot.
func (s *Files) Give(uid, gid int) error {
	root, err := s.open(true)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.pinned = true
	s.mu.Unlock()
	return fs.WalkDir(root.FS(), ".", func(file string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return root.Lchown(file, uid, gid)
	})
}

// writable tells why nothing could be stored, without storing anything.
func (s *Files) writable() error {
	s.mu.Lock()
	pinned := s.pinned
	s.mu.Unlock()
	if pinned { // it was ours to give
		return nil
	}
	dir := s.Dir
	for {
		i, err := os.Stat(dir)
		if err == nil && !i.IsDir() {
			return fmt.Errorf("%s is no directory", dir)
		}
		if err == nil {
			return mayWrite(dir)
		}
		if up := filepath.Dir(dir); up != dir && missing(err) {
			dir = up
			continue
		}
		return err
	}
}
