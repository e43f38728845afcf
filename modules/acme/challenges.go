package acme

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// ALPN is the protocol of a TLS-ALPN-01 challenge (RFC 8737 §4).
const ALPN = acmez.ACMETLS1Protocol

// challengePath begins the paths of HTTP-01 challenges (RFC 8555 §8.3).
const challengePath = "/.well-known/acme-challenge/"

// lookupTime bounds how long an answer may be looked for in a storage.
const lookupTime = 5 * time.Second

// Challenges are those that the process has to answer at the moment. They belong
// to the process: an order that was begun under one configuration is validated
// under the next. What another node has begun is found in the storage.
type Challenges struct {
	mu     sync.RWMutex
	tokens map[string]challenge        // by token
	certs  map[string]*tls.Certificate // by name
	stores map[Storage]int             // with how many have registered them
	files  map[string]*Files           // by directory: one for the life of the process, see Files.Give
}

// challenge is what a node must know to answer for another.
type challenge struct {
	Identifier string `json:"identifier"`
	Token      string `json:"token"`
	Answer     string `json:"key_authorization"`
}

// NewChallenges gives an empty set.
func NewChallenges() *Challenges {
	return &Challenges{tokens: map[string]challenge{}, certs: map[string]*tls.Certificate{}, stores: map[Storage]int{}, files: map[string]*Files{}}
}

// Active reports whether anything could be asked at all.
func (c *Challenges) Active() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.stores) > 0
}

// Answer gives the answer to an exchange that asks for an HTTP-01 challenge which
// is known here. Others are left alone, so that a site may have an ACME client of its
// own behind it.
func (c *Challenges) Answer(x *flow.Exchange) ([]byte, bool) {
	token, ok := strings.CutPrefix(string(x.Req.Path), challengePath)
	if !ok || x.Req.Method != "GET" || !isToken(token) {
		return nil, false
	}
	ch, ok := c.http(token)
	// The host keeps a page that rebinds a name from reading answers.
	if !ok || !strings.EqualFold(ch.Identifier, string(x.Req.Host)) {
		return nil, false
	}
	return []byte(ch.Answer), true
}

// Asked reports whether a path could be a challenge's.
func Asked(p []byte) bool {
	return len(p) > len(challengePath) && string(p[:len(challengePath)]) == challengePath
}

// isToken tells what may be a token: base64url without padding (RFC 8555 §8.3).
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return s != "" && len(s) <= 128
}

// isName tells what may be looked up by name: nothing that leads elsewhere in a
// storage.
func isName(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		case c == '.' && i > 0 && s[i-1] != '.':
		default:
			return false
		}
	}
	return s != "" && len(s) <= 253
}

func (c *Challenges) http(token string) (challenge, bool) {
	c.mu.RLock()
	ch, ok := c.tokens[token]
	c.mu.RUnlock()
	if ok {
		return ch, true
	}
	return c.stored(acme.ChallengeTypeHTTP01, token)
}

// Certificate gives the certificate that answers a TLS-ALPN-01 challenge.
func (c *Challenges) Certificate(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(h.ServerName)
	c.mu.RLock()
	cert := c.certs[name]
	c.mu.RUnlock()
	if cert != nil {
		return cert, nil
	}
	if !isName(name) {
		return nil, fmt.Errorf("%q is no name", h.ServerName)
	}
	if ch, ok := c.stored(acme.ChallengeTypeTLSALPN01, name); ok {
		return acmez.TLSALPN01ChallengeCert(acme.Challenge{
			Type: acme.ChallengeTypeTLSALPN01, KeyAuthorization: ch.Answer, Token: ch.Token,
			Identifier: acme.Identifier{Type: "dns", Value: ch.Identifier},
		})
	}
	return nil, fmt.Errorf("no ACME challenge is open for %q", h.ServerName)
}

// stored looks for what another node has begun.
func (c *Challenges) stored(kind, name string) (ch challenge, found bool) {
	c.mu.RLock()
	stores := make([]Storage, 0, len(c.stores))
	for s := range c.stores {
		stores = append(stores, s)
	}
	c.mu.RUnlock()
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	for _, s := range stores {
		b, err := s.Load(ctx, challengeKey(kind, name))
		if err == nil && json.Unmarshal(b, &ch) == nil {
			return ch, true
		}
	}
	return challenge{}, false
}

func challengeKey(kind, name string) string { return path.Join("challenges", kind, name+".json") }

// filesIn gives the files of a directory, the same over configurations.
func (c *Challenges) filesIn(dir string) *Files {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files[dir] == nil {
		c.files[dir] = NewFiles(dir)
	}
	return c.files[dir]
}

// attach has the challenges in a storage answered, too, until detach is called.
func (c *Challenges) attach(s Storage) (detach func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stores[s]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.stores[s]--; c.stores[s] == 0 {
			delete(c.stores, s)
		}
	}
}

// solver puts the challenges of one Manager in place.
type solver struct {
	all   *Challenges
	store Storage
}

// Present implements acmez.Solver.
func (s *solver) Present(ctx context.Context, ch acme.Challenge) error {
	name := ch.Identifier.Value
	s.all.mu.Lock()
	key := challengeKey(ch.Type, ch.Token)
	known := challenge{Identifier: name, Token: ch.Token, Answer: ch.KeyAuthorization}
	if ch.Type == acme.ChallengeTypeTLSALPN01 {
		key = challengeKey(ch.Type, strings.ToLower(name))
		cert, err := acmez.TLSALPN01ChallengeCert(ch)
		if err != nil {
			s.all.mu.Unlock()
			return err
		}
		s.all.certs[strings.ToLower(name)] = cert
	} else {
		s.all.tokens[ch.Token] = known
	}
	s.all.mu.Unlock()
	b, err := json.Marshal(known)
	if err != nil {
		return err
	}
	return s.store.Store(ctx, key, b)
}

// CleanUp implements acmez.Solver.
func (s *solver) CleanUp(ctx context.Context, ch acme.Challenge) error {
	key := challengeKey(ch.Type, ch.Token)
	s.all.mu.Lock()
	if ch.Type == acme.ChallengeTypeTLSALPN01 {
		key = challengeKey(ch.Type, strings.ToLower(ch.Identifier.Value))
		delete(s.all.certs, strings.ToLower(ch.Identifier.Value))
	} else {
		delete(s.all.tokens, ch.Token)
	}
	s.all.mu.Unlock()
	return s.store.Delete(context.WithoutCancel(ctx), key)
}

var _ acmez.Solver = (*solver)(nil)
