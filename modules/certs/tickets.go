package certs

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// ticketPeriod is how long a key makes new tickets.
	ticketPeriod = time.Hour
	// ticketKeys are kept: the one in use and two older, which still open tickets.
	ticketKeys = 3
)

// Tickets holds the secrets that session tickets are sealed with (RFC 8446
// §4.6.1, RFC 5077). It belongs to the process and outlives configurations, so
// that a reload costs nobody a full handshake. Each policy has keys of its own,
// derived from its identity: a ticket of one opens nothing under another.
type Tickets struct {
	start  time.Time
	mu     sync.Mutex
	period int64
	secret [ticketKeys][32]byte // the newest first
	n      int
}

// NewTickets gives fresh secrets.
func NewTickets() *Tickets {
	t := &Tickets{start: time.Now(), n: 1}
	_, _ = rand.Read(t.secret[0][:]) // it never fails (crypto/rand)
	return t
}

// Period counts rotations. Keys change with it, and only then.
func (t *Tickets) Period() int64 { return int64(time.Since(t.start) / ticketPeriod) }

// Keys gives the keys of an identity, the one for new tickets first, and the
// period they are of.
func (t *Tickets) Keys(id []byte) (keys [][32]byte, period int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.Period()
	for ; t.period < now; t.period++ {
		if now-t.period > ticketKeys {
			t.period, t.n = now-ticketKeys, 0 // all are too old
		}
		copy(t.secret[1:], t.secret[:])
		_, _ = rand.Read(t.secret[0][:])
		t.n = min(t.n+1, ticketKeys)
	}
	for i := range t.n {
		mac := hmac.New(sha256.New, t.secret[i][:])
		mac.Write(id)
		var k [32]byte
		mac.Sum(k[:0])
		keys = append(keys, k)
	}
	return keys, t.period
}
