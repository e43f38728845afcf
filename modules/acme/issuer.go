package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

const (
	// orderTime bounds an order, the wait for DNS records included.
	orderTime = 15 * time.Minute
	// callTime bounds one call of an authority.
	callTime = 30 * time.Second
)

// userAgent is what authorities know us by (RFC 8555 §6.1).
const userAgent = "Loadstar"

// issuer has certificates issued by one authority: a certmagic.Issuer. Unlike that
// package's own it never opens a port: challenges are answered by the sockets that
// the configuration has.
type issuer struct {
	ca      CA
	email   string
	profile string
	store   Storage
	client  *acmez.Client
	http    *http.Transport
	slots   chan struct{} // orders at a time, of all authorities of a Manager
	log     *slog.Logger
}

// newIssuer makes the issuer of an authority for a Manager.
func (m *Manager) newIssuer(ca CA) (*issuer, error) {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute,
		DialContext:         (&net.Dialer{Timeout: callTime}).DialContext,
		TLSHandshakeTimeout: callTime, ResponseHeaderTimeout: callTime,
	}
	roots, err := ca.roots()
	if err != nil {
		return nil, err
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	i := &issuer{
		ca: ca, email: m.settings.Email, profile: m.settings.Profile, store: m.store,
		http: transport, slots: m.slots, log: m.log,
	}
	i.client = &acmez.Client{
		Client: &acme.Client{
			Directory: ca.URL, UserAgent: userAgent, Logger: slog.New(quiet{m.log.Handler()}),
			HTTPClient: &http.Client{Transport: transport, Timeout: callTime},
		},
		ChallengeSolvers: map[string]acmez.Solver{},
	}
	own := &solver{all: m.challenges, store: m.store}
	switch {
	case m.settings.DNS.On():
		i.client.ChallengeSolvers[acme.ChallengeTypeDNS01] = m.settings.DNS.newSolver(zapTo(m.log))
	default:
		if m.settings.HTTP {
			i.client.ChallengeSolvers[acme.ChallengeTypeHTTP01] = own
		}
		if m.settings.ALPN {
			i.client.ChallengeSolvers[acme.ChallengeTypeTLSALPN01] = own
		}
	}
	return i, nil
}

// roots gives who vouches for the authority's server. The system's are read now: after
// chroot they may be out of reach.
func (ca *CA) roots() (*x509.CertPool, error) {
	if ca.Roots == nil {
		return x509.SystemCertPool()
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca.Roots) {
		return nil, fmt.Errorf("no certificate among the roots for %s", ca.URL)
	}
	return pool, nil
}

// IssuerKey implements certmagic.Issuer: it names the authority in storage.
func (i *issuer) IssuerKey() string {
	u, err := url.Parse(i.ca.URL)
	if err != nil {
		return i.ca.URL
	}
	key := u.Host
	if p := strings.Trim(strings.ReplaceAll(u.Path, "/", "-"), "-"); p != "" {
		key += "-" + p
	}
	return certmagic.StorageKeys.Safe(key)
}

// Issue implements certmagic.Issuer.
func (i *issuer) Issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	ctx, cancel := context.WithTimeout(ctx, orderTime)
	defer cancel()
	select {
	case i.slots <- struct{}{}:
		defer func() { <-i.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	replaces := i.former(ctx, csr)
	cert, err := i.order(ctx, csr, replaces)
	if err != nil && replaces != nil && refusedReplacement(err) {
		cert, err = i.order(ctx, csr, nil)
	}
	if forgotten(err) {
		i.log.Warn("the ACME account is not known any more; another is registered", "ca", i.ca.URL)
		if err := i.store.Delete(ctx, i.accountKey()); err != nil {
			return nil, err
		}
		cert, err = i.order(ctx, csr, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", i.ca.URL, err)
	}
	return &certmagic.IssuedCertificate{Certificate: cert.ChainPEM, Metadata: cert}, nil
}

func (i *issuer) order(ctx context.Context, csr *x509.CertificateRequest, replaces *x509.Certificate) (acme.Certificate, error) {
	account, err := i.account(ctx)
	if err != nil {
		return acme.Certificate{}, err
	}
	params, err := acmez.OrderParametersFromCSR(account, csr)
	if err != nil {
		return acme.Certificate{}, err
	}
	params.Profile, params.Replaces = i.profile, replaces
	chains, err := i.client.ObtainCertificate(ctx, params)
	if err != nil {
		return acme.Certificate{}, err
	}
	if len(chains) == 0 {
		return acme.Certificate{}, errors.New("the authority gave no certificate")
	}
	return chains[0], nil // the authority's default, before its alternates
}

// former gives the certificate that a new one is to replace, which some authorities
// exempt from their rate limits (RFC 9773 §5); nil if this authority issued none.
func (i *issuer) former(ctx context.Context, csr *x509.CertificateRequest) *x509.Certificate {
	if len(csr.DNSNames) == 0 {
		return nil
	}
	b, err := i.store.Load(ctx, certmagic.StorageKeys.SiteCert(i.IssuerKey(), csr.DNSNames[0]))
	if err != nil {
		return nil
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil || len(c.AuthorityKeyId) == 0 {
		return nil
	}
	return c
}

// refusedReplacement reports that an order may pass if it names no certificate to
// replace: that one is replaced already, or unknown (RFC 9773 §5).
func refusedReplacement(err error) bool {
	var p acme.Problem
	if !errors.As(err, &p) {
		return false
	}
	switch p.Type {
	case acme.ProblemTypeAlreadyReplaced, acme.ProblemTypeMalformed, acme.ProblemTypeServerInternal:
		return true
	}
	return p.Status == http.StatusNotFound || p.Status == http.StatusConflict
}

// GetRenewalInfo implements certmagic.RenewalInfoGetter (RFC 9773).
func (i *issuer) GetRenewalInfo(ctx context.Context, cert certmagic.Certificate) (acme.RenewalInfo, error) {
	return i.client.GetRenewalInfo(ctx, cert.Leaf)
}

var (
	_ certmagic.Issuer            = (*issuer)(nil)
	_ certmagic.RenewalInfoGetter = (*issuer)(nil)
)
