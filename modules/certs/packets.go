package certs

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// PacketSecrets holds the secret of each state directory that HTTP/3's sockets
// derive stateless resets and address tokens from. It is kept in DIR/quic.key, so
// that after a restart clients are told at once that their connections are gone.
type PacketSecrets struct {
	mu   sync.Mutex
	open map[string][64]byte
}

// Of gives a directory's secret. With an error it is one that this process alone
// will know.
func (p *PacketSecrets) Of(dir string) (secret [64]byte, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.open[dir]; ok {
		return s, nil
	}
	secret, err = readSecret(dir)
	if p.open == nil {
		p.open = map[string][64]byte{}
	}
	p.open[dir] = secret
	return secret, err
}

// readSecret reads the file, and writes it if it is not there. What is there and
// is no secret is not written over.
func readSecret(dir string) (secret [64]byte, err error) {
	_, _ = rand.Read(secret[:]) // it never fails (crypto/rand)
	name := filepath.Join(dir, "quic.key")
	if b, err := os.ReadFile(name); err == nil {
		if len(b) != len(secret) {
			return secret, fmt.Errorf("%s: %d bytes instead of %d", name, len(b), len(secret))
		}
		return [64]byte(b), nil
	} else if !os.IsNotExist(err) {
		return secret, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { // the key is for its owner only, what stands beside it may be others'
		return secret, err
	}
	f, err := os.CreateTemp(dir, "quic.key.")
	if err != nil {
		return secret, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(secret[:])
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return secret, err
	}
	// Who links the file first has made the secret, if two processes start at once.
	if err := os.Link(f.Name(), name); err != nil && !os.IsExist(err) {
		return secret, err
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return secret, err
	}
	if len(b) != len(secret) {
		return secret, fmt.Errorf("%s: %d bytes instead of %d", name, len(b), len(secret))
	}
	return [64]byte(b), nil
}
