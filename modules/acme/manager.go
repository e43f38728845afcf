package acme

import (
	"context"
	"crypto/tls"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

const (
	// ordersAtATime bounds what a Manager asks of authorities at once.
	ordersAtATime = 10
	// loadsAtATime and loadTime bound what a start waits for.
	loadsAtATime = 16
	loadTime     = 10 * time.Second
	// maxOnDemand bounds the certificates in memory where names come from clients;
	// others are read from storage again when they are asked for.
	maxOnDemand = 10_000
)

// Deps is what a Manager needs beside its Settings.
type Deps struct {
	Challenges *Challenges
	Log        *slog.Logger
	Storage    Storage // nil: files in the directory of the Settings

	// For tests, which have no hours to wait: how often certificates are looked at,
	// and how long to wait after a failure. Zero values stand for what is usual.
	every time.Duration
	retry func(attempt int, err error) time.Duration
}

// Manager keeps the account and the certificates of one Settings. It outlives
// configurations, and with it running orders do.
type Manager struct {
	settings   Settings
	store      Storage
	challenges *Challenges
	log        *slog.Logger
	retry      func(attempt int, err error) time.Duration
	slots      chan struct{}
	ask        *asker // nil: not on demand

	cache   *certmagic.Cache
	config  *certmagic.Config
	issuers []*issuer
	detach  func()
	ctx     context.Context
	cancel  context.CancelFunc
	working sync.WaitGroup
	closing sync.Once

	mu    sync.Mutex
	names map[string]*subject
	// adopted are the certificates of other authorities, by name.
	adopted map[string]string
	tidying sync.Once
}

// subject is a name that certificates are kept for.
type subject struct {
	users  int
	cancel context.CancelFunc
	err    error     // why there is no new certificate; nil: there is, or nothing is known yet
	next   time.Time // of the next attempt, if err is set and it is known
}

// Open makes a Manager. Nothing is asked of authorities before a Source of it is
// started.
func Open(s Settings, d Deps) (*Manager, error) {
	m := &Manager{
		settings: s, store: d.Storage, challenges: d.Challenges, log: d.Log.With("module", "acme"), retry: d.retry,
		slots: make(chan struct{}, ordersAtATime), names: map[string]*subject{}, adopted: map[string]string{},
	}
	if m.store == nil {
		m.store = m.challenges.filesIn(s.Storage)
	}
	if m.retry == nil {
		m.retry = backoff
	}
	capacity := 0
	if s.Ask != "" {
		m.ask, capacity = newAsker(s.Ask), maxOnDemand
	}
	var issuers []certmagic.Issuer
	for _, ca := range s.CAs {
		i, err := m.newIssuer(ca)
		if err != nil {
			return nil, err
		}
		m.issuers, issuers = append(m.issuers, i), append(issuers, i)
	}
	zlog := zapTo(m.log)
	m.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return m.config, nil },
		RenewCheckInterval: d.every, Capacity: capacity, Logger: zlog,
	})
	m.config = m.newConfig(issuers, zlog)
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.detach = m.challenges.attach(m.store)
	return m, nil
}

func (m *Manager) newConfig(issuers []certmagic.Issuer, log *zap.Logger) *certmagic.Config {
	return certmagic.New(m.cache, certmagic.Config{
		Issuers: issuers, Storage: adapt(m.store), Logger: log, OnEvent: m.event,
		KeySource: certmagic.StandardKeyGenerator{KeyType: keyType(m.settings.KeyType)},
		OCSP:      certmagic.OCSPConfig{DisableStapling: !m.settings.OCSP},
	})
}

func keyType(name string) certmagic.KeyType {
	switch name {
	case "p384":
		return certmagic.P384
	case "rsa2048":
		return certmagic.RSA2048
	case "rsa4096":
		return certmagic.RSA4096
	default:
		return certmagic.P256
	}
}

// load reads the certificates of names from storage, so that they serve before
// anybody asks. What is not there is no error.
func (m *Manager) load(names []string) {
	ctx, cancel := context.WithTimeout(m.ctx, loadTime)
	defer cancel()
	var all sync.WaitGroup
	turns := make(chan struct{}, loadsAtATime)
	for _, name := range names {
		if m.has(name) {
			continue
		}
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			_, err := m.config.CacheManagedCertificate(ctx, name)
			if err == nil {
				return
			}
			if !missing(err) {
				m.log.Warn("a stored certificate cannot be used", "name", name, "error", err)
			}
			m.adopt(ctx, name)
		})
	}
	all.Wait()
}

// manage keeps certificates for names until as many calls of release.
func (m *Manager) manage(names []string) {
	m.tidying.Do(func() { m.working.Go(m.tidy) })
	m.mu.Lock()
	defer m.mu.Unlock()
	fresh := false
	for _, name := range names {
		s := m.names[name]
		if s == nil {
			fresh = true
			s = &subject{}
			ctx, cancel := context.WithCancel(m.ctx)
			s.cancel = cancel
			m.names[name] = s
			m.working.Go(func() { m.keep(ctx, name, s) })
		}
		s.users++
	}
	if fresh {
		// What came from storage may be due, perhaps for long; the next look of the
		// cache itself is minutes away.
		m.working.Go(func() { _ = m.cache.RenewManagedCertificates(m.ctx) })
	}
}

// release lets names go.
func (m *Manager) release(names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range names {
		s := m.names[name]
		if s == nil {
			continue
		}
		if s.users--; s.users == 0 {
			s.cancel()
			delete(m.names, name)
			m.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: name}})
			m.disown(name)
		}
	}
}

// keep has a certificate issued, however often it must be tried. Once there is one,
// certmagic renews it.
func (m *Manager) keep(ctx context.Context, name string, s *subject) {
	for attempt := 1; ; attempt++ {
		err := m.config.ManageSync(ctx, []string{name})
		if err == nil {
			m.mu.Lock()
			m.disown(name)
			m.mu.Unlock()
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		wait := m.retry(attempt, err)
		m.note(s, err, time.Now().Add(wait))
		m.log.Error("no certificate yet", "name", name, "error", err, "next_attempt_in", wait)
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
	}
}

func (m *Manager) note(s *subject, err error, next time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.err, s.next = err, next
}

// event hears what certmagic does.
func (m *Manager) event(ctx context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	renewal, _ := data["renewal"].(bool)
	switch event {
	case "cert_obtaining":
		if renewal && m.ask != nil {
			return m.ask.allowed(ctx, name) // what was permitted once need not be for ever
		}
	case "cert_obtained":
		m.log.Info("certificate issued", "name", name, "ca", data["issuer"], "renewal", renewal)
		m.settle(name, nil)
	case "cert_failed":
		if err, _ := data["error"].(error); renewal {
			m.settle(name, err)
			m.log.Error("certificate not renewed; the present one goes on", "name", name, "error", err, "remaining", data["remaining"])
		}
	}
	return nil
}

func (m *Manager) settle(name string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.names[name]; s != nil {
		s.err, s.next = err, time.Time{}
	}
}

// find gives the certificate for a name or a wildcard, nil if there is none: one
// that is good now, else the one that was good last. Of several it is the newest.
func (m *Manager) find(name string) *tls.Certificate {
	var best *tls.Certificate
	for _, c := range m.cache.AllMatchingCertificates(name) {
		if best == nil || c.Leaf.NotAfter.After(best.Leaf.NotAfter) {
			best = &c.Certificate
		}
	}
	return best
}

// has reports whether a name's own certificate is in memory, good or not.
func (m *Manager) has(name string) bool {
	for _, c := range m.cache.AllMatchingCertificates(name) {
		if slices.Contains(c.Names, name) {
			return true
		}
	}
	return false
}

// Give makes what is stored another user's, whom the process is about to become.
func (m *Manager) Give(uid, gid int) error {
	if f, ok := m.store.(*Files); ok {
		return f.Give(uid, gid)
	}
	return nil
}

// Close ends all that goes on. Orders that run are given up; a node that shares the
// storage, or the next start, begins anew.
func (m *Manager) Close() {
	m.closing.Do(func() {
		m.cancel()
		m.working.Wait()
		m.cache.Stop()
		m.detach()
		for _, i := range m.issuers {
			i.http.CloseIdleConnections()
		}
	})
}

// lowerName gives a name as certificates are looked up by.
func lowerName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
