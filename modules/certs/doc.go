// Package certs holds what terminating TLS needs: certificates from files (Store)
// or from a local authority (Internal), the choice among them, OCSP staples,
// ticket keys, and the settings of a site's handshakes (Policy).
//
// What is read from files is looked at once a second, off the path, and swapped
// when it changed and is whole; what is broken is reported once, and the last good
// state goes on.
package certs

import (
	"crypto/tls"
	"sync"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// Source gives the certificate of a handshake. It is safe for use by many.
type Source interface {
	// Certificate chooses by server name and by what the client can verify.
	Certificate(h *tls.ClientHelloInfo) (*tls.Certificate, error)
	// Check looks at the state as it is now: whether it loads, and whether it
	// covers the names of a site (which may be wildcards, or IP addresses).
	Check(names []string) []Finding
	// Close ends what goes on in the background.
	Close()
}

// Finding is a diagnostic that still lacks its place.
type Finding struct {
	File     int // which of the Files it is about, -1: all
	Severity diag.Severity
	Rule     string
	Message  string
	Help     string
}

// lookEvery is how often files are looked at.
const lookEvery = time.Second

// poll calls a function every lookEvery, one call at a time, until it is stopped.
type poll struct {
	mu    sync.Mutex
	timer *time.Timer
	over  bool
}

func (p *poll) start(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil || p.over {
		return
	}
	p.timer = time.AfterFunc(lookEvery, func() {
		f()
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.over {
			p.timer.Reset(lookEvery)
		}
	})
}

func (p *poll) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if p.timer != nil {
		p.timer.Stop()
	}
}

// Key names a Source over reloads.
type Key struct{ Kind, What string }

// String gives both parts.
func (k Key) String() string { return k.Kind + " " + k.What }

// ClientsKey names a Clients over reloads.
type ClientsKey struct{ CA, CRL string }

// String gives both parts.
func (k ClientsKey) String() string { return k.CA + " " + k.CRL }

// FindingOf gives an error of this package its form as a diagnostic.
func FindingOf(err error) Finding { return finding(-1, err) }

// Authorities holds the local authority of each state directory that was opened:
// one root for the life of the process, even if its files go.
type Authorities struct {
	mu   sync.Mutex
	open map[string]*Authority
}

// Open opens the authority of a state directory, once.
func (a *Authorities) Open(dir string, dry bool) (*Authority, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if found := a.open[dir]; found != nil {
		return found, nil
	}
	made, err := OpenAuthority(dir, dry)
	if err != nil {
		return nil, err
	}
	if a.open == nil {
		a.open = map[string]*Authority{}
	}
	a.open[dir] = made
	return made, nil
}
