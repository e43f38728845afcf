package auth

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// The bounds of a hash's cost. Each step doubles the time of a comparison; 10
// are some 50 ms, and beyond 16 a sign-in would take several seconds.
const (
	MinCost     = bcrypt.MinCost
	MaxCost     = 16
	DefaultCost = 12
)

// maxPassword is how many bytes of a password bcrypt looks at.
const maxPassword = 72

// Hash makes the bcrypt hash of a password, of at most 72 bytes: more would be
// ignored in silence.
func Hash(password []byte, cost int) (string, error) {
	switch {
	case len(password) == 0:
		return "", errors.New("the password is empty")
	case len(password) > maxPassword:
		return "", fmt.Errorf("the password has %d bytes; bcrypt looks at the first %d only", len(password), maxPassword)
	case cost < MinCost || cost > MaxCost:
		return "", fmt.Errorf("the cost is from %d to %d, not %d", MinCost, MaxCost, cost)
	}
	for _, c := range password {
		if c < ' ' || c == 0x7f {
			return "", errors.New("the password has control characters, which no browser sends (RFC 7617 §2)")
		}
	}
	h, err := bcrypt.GenerateFromPassword(password, cost)
	return string(h), err
}

// HowTo is what to do instead of writing down a password.
const HowTo = "make its hash with `loadstar hash-password` and write that in its place"

// CheckHash tells what is wrong with what should be a bcrypt hash.
func CheckHash(hash string) error {
	_, err := costOf(hash)
	return err
}

// ErrPlain is CheckHash's of what is no hash of any kind.
var ErrPlain = errors.New("this is no hash, so it must be the password itself: " + HowTo)

func costOf(hash string) (int, error) {
	if len(hash) != 60 || !strings.HasPrefix(hash, "$2") {
		if strings.HasPrefix(hash, "$") && strings.Count(hash, "$") >= 3 {
			return 0, errors.New("only bcrypt hashes ($2b$…) are known: " + HowTo)
		}
		return 0, ErrPlain
	}
	cost, err := bcrypt.Cost([]byte(hash))
	switch {
	case err != nil:
		return 0, fmt.Errorf("this is no bcrypt hash (%w): %s", err, HowTo)
	case cost > MaxCost:
		return 0, fmt.Errorf("the hash has cost %d, so that a sign-in would take a minute; at most %d are taken", cost, MaxCost)
	}
	return cost, nil
}
