package stats

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// Tokens makes and checks the tokens that a page's forms carry, so that no other
// site can have a browser send an order: it cannot read one. A token is bound to
// a user and to a page, and ends by itself. Its key is the process's: a restart
// makes all of them void, a reload none.
type Tokens struct{ key [sha256.Size]byte }

// tokenLife is for how long a page that was left open can still be used.
const tokenLife = 12 * time.Hour

// NewTokens makes a key that nobody else has.
func NewTokens() *Tokens {
	t := &Tokens{}
	if _, err := rand.Read(t.key[:]); err != nil {
		panic(err) // crypto/rand does not fail; if it did, nothing would be safe
	}
	return t
}

// Make gives a token for a user of a page.
func (t *Tokens) Make(user, page string, now time.Time) string {
	until := binary.BigEndian.AppendUint64(nil, uint64(now.Add(tokenLife).Unix()))
	return base64.RawURLEncoding.EncodeToString(append(until, t.sign(until, user, page)...))
}

// Good tells whether a token was made for a user of a page and has not ended. It
// takes the same time for all that are wrong.
func (t *Tokens) Good(token, user, page string, now time.Time) bool {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) != 8+sha256.Size {
		return false
	}
	good := hmac.Equal(raw[8:], t.sign(raw[:8], user, page))
	return good && now.Unix() < int64(binary.BigEndian.Uint64(raw))
}

func (t *Tokens) sign(until []byte, user, page string) []byte {
	h := hmac.New(sha256.New, t.key[:])
	h.Write(until)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(user)))) // one reading only
	h.Write([]byte(user))
	h.Write([]byte(page))
	return h.Sum(nil)
}
