package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"net/netip"
	"runtime"
	"sync/atomic"
)

// Guard is what outlives configurations: who has signed in, who keeps failing,
// and how many comparisons are being made.
type Guard struct {
	key    [sha256.Size]byte
	seen   [seenSlots]atomic.Pointer[[sha256.Size]byte]
	limit  limiter
	turns  chan struct{}
	inLine atomic.Int64
}

// Process is the guard of this process. There is one because the processor time
// that it guards is one.
var Process = NewGuard()

// seenSlots is how many credentials are remembered; two that share a slot take
// it from each other, which costs them a comparison.
const seenSlots = 1024

// maxInLine is how many may wait for their comparison. Each holds a connection
// and nothing else.
const maxInLine = 64

// NewGuard makes a guard that has seen nobody.
func NewGuard() *Guard {
	g := &Guard{turns: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
	if _, err := rand.Read(g.key[:]); err != nil {
		panic(err) // crypto/rand does not fail; if it did, nothing would be safe
	}
	return g
}

// Verdict is what became of credentials.
type Verdict uint8

// The verdicts.
const (
	Wrong   Verdict = iota // no such user, or not the password
	Good                   //
	TooMany                // the address has been wrong too often; nothing was compared
	Busy                   // too many comparisons are waiting; nothing was compared
)

// Verify decides over a name and a password that came from an address; who is
// the user's name as configured, of those that are Good. scratch is room to work
// in, which is left clean. Credentials that were good before cost a hash of a few
// hundred nanoseconds, no lock, and no allocation if scratch has room for sealRoom
// bytes more than the password.
func (u *Users) Verify(from netip.Addr, name, password, scratch []byte) (v Verdict, who []byte) {
	g, found := u.guard, u.find(name)
	var seal [sha256.Size]byte
	if found != nil {
		// Not an HMAC: the digest is never shown, and its input has one reading.
		scratch = append(append(append(scratch, g.key[:]...), found.seal[:]...), password...)
		seal = sha256.Sum256(scratch)
		clear(scratch)
		if g.knows(&seal) {
			return Good, found.name
		}
	}
	if !g.limit.take(from) {
		return TooMany, nil
	}
	if g.inLine.Add(1) > maxInLine {
		g.inLine.Add(-1)
		g.limit.giveBack(from)
		return Busy, nil
	}
	g.turns <- struct{}{}
	ok := found != nil && g.knows(&seal) // somebody with the same credentials was faster
	if !ok {
		ok = u.compare(found, password)
	}
	<-g.turns
	g.inLine.Add(-1)
	if !ok {
		return Wrong, nil
	}
	g.limit.giveBack(from)
	kept := seal // only now, so that what is looked up does not escape
	g.seen[slot(&seal)].Store(&kept)
	return Good, found.name
}

// sealRoom is what is hashed with a password.
const sealRoom = 2 * sha256.Size

func (g *Guard) knows(seal *[sha256.Size]byte) bool {
	s := g.seen[slot(seal)].Load()
	return s != nil && *s == *seal
}

func slot(seal *[sha256.Size]byte) int { return (int(seal[0])<<8 | int(seal[1])) % seenSlots }
