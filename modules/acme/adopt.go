package acme

import (
	"context"
	"crypto/tls"
	"path"
	"slices"

	"github.com/caddyserver/certmagic"
)

// adopt serves what an authority has issued that the configuration names no more,
// until there is a certificate of one that it does: who changes authorities is not
// to be without one meanwhile.
func (m *Manager) adopt(ctx context.Context, name string) {
	dirs, err := m.store.List(ctx, "certificates", false)
	if err != nil {
		return // nothing was issued so far
	}
	var own []string
	for _, i := range m.issuers {
		own = append(own, i.IssuerKey())
	}
	var best *tls.Certificate
	var cert, key []byte
	for _, dir := range dirs {
		issuer := path.Base(dir)
		if slices.Contains(own, issuer) {
			continue
		}
		c, err := m.store.Load(ctx, certmagic.StorageKeys.SiteCert(issuer, name))
		if err != nil {
			continue
		}
		k, err := m.store.Load(ctx, certmagic.StorageKeys.SitePrivateKey(issuer, name))
		if err != nil {
			continue
		}
		pair, err := tls.X509KeyPair(c, k)
		if err == nil && (best == nil || pair.Leaf.NotAfter.After(best.Leaf.NotAfter)) {
			best, cert, key = &pair, c, k
		}
	}
	if best == nil {
		return
	}
	hash, err := m.config.CacheUnmanagedCertificatePEMBytes(ctx, cert, key, nil)
	if err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.adopted[name] = hash
}

// disown lets go of what was adopted for a name. The Manager is locked.
func (m *Manager) disown(name string) {
	hash, ok := m.adopted[name]
	delete(m.adopted, name)
	if ok {
		m.cache.Remove([]string{hash})
	}
}
