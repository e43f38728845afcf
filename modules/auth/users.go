package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"

	"golang.org/x/crypto/bcrypt"
)

// User is one user as configured.
type User struct {
	Name string
	Hash string // of the password; see CheckHash
}

// Users are those who may come. They are not changed.
type Users struct {
	guard *Guard
	list  []user
	cost  int // the highest of all
}

type user struct {
	name []byte
	hash []byte
	cost int
	seal [sha256.Size]byte // of name and hash
}

// NewUsers checks the users, of whom no two have the same name; g is what
// remembers those who have signed in, nil: the process's own (Process).
func NewUsers(list []User, g *Guard) (*Users, error) {
	if g == nil {
		g = Process
	}
	u := &Users{guard: g}
	for _, c := range list {
		if c.Name == "" {
			return nil, errors.New("a user has a name")
		}
		for i := range len(c.Name) {
			if b := c.Name[i]; b < ' ' || b == 0x7f || b == ':' {
				return nil, fmt.Errorf("the user's name %q has a colon or a control character (RFC 7617 §2)", c.Name)
			}
		}
		if u.find([]byte(c.Name)) != nil {
			return nil, fmt.Errorf("there are two users named %s", c.Name)
		}
		cost, err := costOf(c.Hash)
		if err != nil {
			return nil, err
		}
		u.cost = max(u.cost, cost)
		u.list = append(u.list, user{
			name: []byte(c.Name), hash: []byte(c.Hash), cost: cost,
			seal: sha256.Sum256([]byte(c.Name + "\x00" + c.Hash)), // a name has no NUL
		})
	}
	return u, nil
}

// find looks at every user, so that the time does not tell who there is.
func (u *Users) find(name []byte) *user {
	var found *user
	for i := range u.list {
		if subtle.ConstantTimeCompare(u.list[i].name, name) == 1 {
			found = &u.list[i]
		}
	}
	return found
}

// compare makes the comparison that costs. It takes the time of the dearest hash
// there is, whoever asks: a user whose hash is cheaper, and one who does not
// exist, are given the rest of it (the costs from c to n-1 together take the time
// of n less that of c).
func (u *Users) compare(who *user, password []byte) bool {
	ok, cost := false, MinCost
	if who != nil {
		ok, cost = bcrypt.CompareHashAndPassword(who.hash, password) == nil, who.cost
	} else {
		_ = bcrypt.CompareHashAndPassword(dummy(cost), password)
	}
	for ; cost < u.cost; cost++ {
		_ = bcrypt.CompareHashAndPassword(dummy(cost), password)
	}
	return ok
}

// dummy is a hash of nothing that anybody knows, at a cost.
func dummy(cost int) []byte {
	return fmt.Appendf(nil, "$2a$%02d$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234", cost)
}
