package acme

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/modules/certs"
)

// Files is a Storage of files in a directory, which may be on a file system that
// several nodes share. Only its owner can read it: private keys are in it.
type Files struct {
	Dir string
	// beat is how often a lock shows that its holder lives, stale how long one may
	// stand still before it is taken over, look how often those who wait look.
	beat, stale, look time.Duration
}

// NewFiles gives the Storage of a directory, which is made when it is needed.
func NewFiles(dir string) *Files {
	return &Files{Dir: dir, beat: 5 * time.Second, stale: 20 * time.Second, look: 250 * time.Millisecond}
}

// name gives the file of a key, which must stay in the directory.
func (s *Files) name(key string) (string, error) {
	if key != "" && !fs.ValidPath(key) {
		return "", fmt.Errorf("%q is no key of a storage", key)
	}
	return filepath.Join(s.Dir, filepath.FromSlash(key)), nil
}

// Load implements Storage.
func (s *Files) Load(_ context.Context, key string) ([]byte, error) {
	name, err := s.name(key)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(name)
}

// Store implements Storage: a reader sees the former value or this one.
func (s *Files) Store(_ context.Context, key string, value []byte) error {
	name, err := s.name(key)
	if err != nil {
		return err
	}
	if err := certs.MakeState(s.Dir); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*") // mode 0600
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
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// Delete implements Storage.
func (s *Files) Delete(_ context.Context, key string) error {
	name, err := s.name(key)
	if err != nil || key == "" || key == "." { // never all there is
		return err
	}
	return os.RemoveAll(name)
}

// List implements Storage.
func (s *Files) List(ctx context.Context, prefix string, recursive bool) ([]string, error) {
	root, err := s.name(prefix)
	if err != nil {
		return nil, err
	}
	var keys []string
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case name == root || strings.HasPrefix(d.Name(), ".new-"):
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		keys = append(keys, path.Join(prefix, filepath.ToSlash(rel)))
		if d.IsDir() && !recursive {
			return fs.SkipDir
		}
		return nil
	})
	return keys, err
}

// Stat implements Storage.
func (s *Files) Stat(_ context.Context, key string) (Info, error) {
	name, err := s.name(key)
	if err != nil {
		return Info{}, err
	}
	i, err := os.Stat(name)
	if err != nil {
		return Info{}, err
	}
	return Info{Modified: i.ModTime(), Size: i.Size(), Dir: i.IsDir()}, nil
}

// Give makes the directory another user's, and all that is in it.
func (s *Files) Give(uid, gid int) error {
	if err := certs.MakeState(s.Dir); err != nil {
		return err
	}
	root, err := os.OpenRoot(s.Dir) // links that lead out of it are not followed
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return root.Lchown(name, uid, gid)
	})
}

// writable tells why nothing could be stored, without storing anything.
func (s *Files) writable() error {
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
