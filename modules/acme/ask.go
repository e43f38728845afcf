package acme

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
)

const (
	// askTime bounds a question to the `on_demand` URL.
	askTime = 10 * time.Second
	// demandTime is how long a handshake waits for its certificate; the order goes
	// on without it.
	demandTime = 30 * time.Second
	// refusedFor is how long a name that was refused is not asked about again.
	refusedFor = time.Minute
	// demandsAtATime bounds what clients who name ever new hosts can set going,
	// demandsKept what is remembered of them.
	demandsAtATime = 64
	demandsKept    = 4096
)

var errBusy = errors.New("too many certificates are asked for at the moment")

// asker knows for which names certificates may be had on demand, and what is under
// way.
type asker struct {
	url    string
	client *http.Client

	mu      sync.Mutex
	running int
	calls   map[string]*demand
	had     map[string]bool // names with a certificate, for reports; some may be let go again
}

// demand is a certificate that a handshake wants.
type demand struct {
	done  chan struct{}
	err   error     // valid once done is closed
	until time.Time // for how long it counts, then
}

func newAsker(url string) *asker {
	return &asker{
		url: url, calls: map[string]*demand{}, had: map[string]bool{},
		client: &http.Client{Timeout: askTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// allowed asks: GET URL?domain=NAME, where 200 is yes and all else is no, as Caddy's
// `on_demand_tls` does.
func (a *asker) allowed(ctx context.Context, name string) error {
	u, err := url.Parse(a.url)
	if err != nil {
		return err
	}
	q := u.Query()
	q.Set("domain", name)
	u.RawQuery = q.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	answer, err := a.client.Do(r)
	if err != nil {
		return fmt.Errorf("asking whether %q may have a certificate: %w", name, err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 4096))
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%q may not have a certificate: %s answered %s", name, u.Host, answer.Status)
	}
	return nil
}

// demandable tells whether a name a client has sent could stand in a certificate.
func demandable(name string) bool {
	return len(name) <= 253 && !strings.ContainsAny(name, "*/:_") && certmagic.SubjectQualifiesForCert(name)
}

// demand gets the certificate of a name that a client asks for: from storage, or
// from an authority if that is permitted. All who ask at a time wait for one.
func (m *Manager) demand(ctx context.Context, name string) error {
	d, err := m.ask.begin(name, func() error { return m.obtain(name) }, m.working.Go)
	if err != nil {
		return err
	}
	t := time.NewTimer(demandTime)
	defer t.Stop()
	select {
	case <-d.done:
		return d.err
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return fmt.Errorf("the certificate of %q is still being issued", name)
	}
}

// begin joins the work on a name, or begins it by start.
func (a *asker) begin(name string, work func() error, start func(func())) (*demand, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if d := a.calls[name]; d != nil && d.counts(time.Now()) {
		return d, nil
	}
	if a.running >= demandsAtATime || len(a.calls) >= demandsKept && !a.purge(time.Now()) {
		return nil, errBusy
	}
	a.running++
	d := &demand{done: make(chan struct{})}
	a.calls[name] = d
	start(func() {
		err := work()
		a.mu.Lock()
		defer a.mu.Unlock()
		a.running--
		if d.err, d.until = err, time.Now().Add(refusedFor); err == nil {
			delete(a.calls, name)
		}
		close(d.done)
	})
	return d, nil
}

// counts reports that a demand runs, or has failed lately.
func (d *demand) counts(now time.Time) bool { return d.until.IsZero() || now.Before(d.until) }

// purge forgets what counts no more; whether that made room. Where it did not, half of
// the refusals are forgotten early: a client that names ever new hosts may have the
// URL asked more often, but not keep others from a certificate.
func (a *asker) purge(now time.Time) bool {
	for name, d := range a.calls {
		if !d.counts(now) {
			delete(a.calls, name)
		}
	}
	if len(a.calls) < demandsKept {
		return true
	}
	for name, d := range a.calls {
		if len(a.calls) <= demandsKept/2 {
			break
		}
		if !d.until.IsZero() {
			delete(a.calls, name)
		}
	}
	return len(a.calls) < demandsKept
}

// hold notes that a name has its certificate. What lies beyond maxOnDemand is not
// reported.
func (a *asker) hold(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.had) < maxOnDemand {
		a.had[name] = true
	}
}

// held shows the names that had a certificate; those that keep gives false for are
// forgotten.
func (a *asker) held(keep func(name string) bool) {
	a.mu.Lock()
	names := slices.Collect(maps.Keys(a.had))
	a.mu.Unlock()
	for _, name := range names {
		if !keep(name) {
			a.mu.Lock()
			delete(a.had, name)
			a.mu.Unlock()
		}
	}
}

// obtain has a certificate that was asked for.
func (m *Manager) obtain(name string) error {
	ctx, cancel := context.WithTimeout(m.ctx, orderTime)
	defer cancel()
	if err := m.ask.allowed(ctx, name); err != nil {
		m.log.Info("certificate refused", "name", name, "error", err)
		return err
	}
	if held := m.find(name); held != nil { // it has expired: had it not, nobody would have asked
		m.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: name}})
	}
	err := m.config.ManageSync(ctx, []string{name})
	if err != nil {
		m.log.Error("no certificate yet", "name", name, "error", err)
		return err
	}
	m.ask.hold(name)
	return nil
}
