package acme

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
)

// Storage keeps accounts, certificates and challenges under keys whose parts are
// joined by "/". Nodes that share one share certificates, and answer each other's
// challenges. It is safe for use by many.
type Storage interface {
	// Load gives what is stored under a key; fs.ErrNotExist if nothing is.
	Load(ctx context.Context, key string) ([]byte, error)
	// Store stores whole or not at all.
	Store(ctx context.Context, key string, value []byte) error
	// Delete removes a key and all beneath it; it is no error if there is none.
	Delete(ctx context.Context, key string) error
	// List gives the keys beneath a prefix; recursive: those beneath them, too.
	List(ctx context.Context, prefix string, recursive bool) ([]string, error)
	// Stat tells of a key; fs.ErrNotExist if there is none.
	Stat(ctx context.Context, key string) (Info, error)
	// Lock waits until nobody, here or on another node, holds the lock of that
	// name. Whoever dies with a lock loses it after a while.
	Lock(ctx context.Context, name string) (unlock func() error, err error)
}

// Info tells of a stored value.
type Info struct {
	Modified time.Time
	Size     int64 // bytes
	Dir      bool  // there is no value, but there are keys beneath
}

// adapter shows a Storage as certmagic wants to see it.
type adapter struct {
	Storage
	mu   sync.Mutex
	held map[string]func() error
}

func adapt(s Storage) *adapter { return &adapter{Storage: s, held: map[string]func() error{}} }

// String says for log lines what it is, and no more.
func (a *adapter) String() string { return "storage" }

// Exists implements certmagic.Storage.
func (a *adapter) Exists(ctx context.Context, key string) bool {
	_, err := a.Storage.Stat(ctx, key)
	return err == nil
}

// Stat implements certmagic.Storage.
func (a *adapter) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	i, err := a.Storage.Stat(ctx, key)
	return certmagic.KeyInfo{Key: key, Modified: i.Modified, Size: i.Size, IsTerminal: !i.Dir}, err
}

// Lock implements certmagic.Locker.
func (a *adapter) Lock(ctx context.Context, name string) error {
	unlock, err := a.Storage.Lock(ctx, name)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held[name] = unlock
	return nil
}

// Unlock implements certmagic.Locker.
func (a *adapter) Unlock(_ context.Context, name string) error {
	a.mu.Lock()
	unlock := a.held[name]
	delete(a.held, name)
	a.mu.Unlock()
	if unlock == nil {
		return errors.New("not locked: " + name)
	}
	return unlock()
}

var _ certmagic.Storage = (*adapter)(nil)

// missing tells an absent key from a storage that fails.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
