package acme

import (
	"context"
	"time"

	"github.com/caddyserver/certmagic"
)

const (
	// tidyEvery is how often a storage is tidied, by one of the nodes that share it.
	tidyEvery = 24 * time.Hour
	// expiredFor is how long a certificate stays that nobody has renewed.
	expiredFor = 30 * 24 * time.Hour
	// challengeLife is longer than any challenge is open: what is older was left
	// behind by a process that was killed.
	challengeLife = 24 * time.Hour
)

// tidy takes away what serves nobody any more, now and every day.
func (m *Manager) tidy() {
	t := time.NewTicker(tidyEvery)
	defer t.Stop()
	for {
		m.sweep(m.ctx, time.Now())
		err := certmagic.CleanStorage(m.ctx, m.config.Storage, certmagic.CleanStorageOptions{
			Logger: zapTo(m.log), Interval: tidyEvery - time.Hour,
			OCSPStaples: true, ExpiredCerts: true, ExpiredCertGracePeriod: expiredFor,
		})
		if err != nil && m.ctx.Err() == nil {
			m.log.Warn("the storage of certificates was not tidied", "error", err)
		}
		select {
		case <-m.ctx.Done():
			return
		case <-t.C:
		}
	}
}

// sweep deletes challenges that were left behind.
func (m *Manager) sweep(ctx context.Context, now time.Time) {
	keys, err := m.store.List(ctx, "challenges", true)
	if err != nil {
		return
	}
	for _, key := range keys {
		if i, err := m.store.Stat(ctx, key); err == nil && !i.Dir && now.Sub(i.Modified) > challengeLife {
			_ = m.store.Delete(ctx, key)
		}
	}
}
