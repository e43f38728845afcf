package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Authority is the local certificate authority of `tls internal`. Its root lives
// in DIR/internal/root.crt and root.key; the former is what clients are to trust:
//
//	curl --cacert DIR/internal/root.crt https://localhost:8443/
//	cp DIR/internal/root.crt /usr/local/share/ca-certificates/loadstar.crt && update-ca-certificates
type Authority struct {
	root *x509.Certificate
	key  crypto.Signer
}

const (
	rootLife = 10 * 365 * 24 * time.Hour
	leafLife = 7 * 24 * time.Hour
	// backdate has certificates begin in the past, for clients whose clocks are slow.
	backdate = time.Hour
)

// StateDir is where Loadstar keeps what must survive a restart, unless it is told:
// what systemd gives (systemd.exec(5), StateDirectory), /var/lib/loadstar for root,
// and the user's data directory for others.
func StateDir() string {
	if d, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); d != "" {
		return d
	}
	if os.Geteuid() == 0 {
		return "/var/lib/loadstar"
	}
	if d := os.Getenv("XDG_DATA_HOME"); d != "" {
		return filepath.Join(d, "loadstar")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = "."
	}
	return filepath.Join(home, ".local", "share", "loadstar")
}

// MakeState makes a directory of the state directory, for its owner only. Those that
// lead there may be passed by others: what is in them can be several users'.
func MakeState(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// OpenAuthority reads the root in a state directory; without one it makes one, and
// writes it down unless dry.
func OpenAuthority(dir string, dry bool) (*Authority, error) {
	dir = filepath.Join(dir, "internal")
	crt, key := filepath.Join(dir, "root.crt"), filepath.Join(dir, "root.key")
	a, err := readAuthority(crt, key)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return a, err
	}
	name := "Loadstar local authority"
	if host, err := os.Hostname(); err == nil {
		name += " of " + host
	}
	a, err = newAuthority(time.Now(), name)
	if err != nil || dry {
		return a, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, err
	}
	if err := MakeState(dir); err != nil {
		return nil, stateFailure(dir, err)
	}
	// Who links the key first has made the root, if two processes start at once.
	if err := writeOnce(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return awaitAuthority(crt, key)
		}
		return nil, stateFailure(dir, err)
	}
	if err := writeOnce(crt, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw}), 0o644); err != nil {
		return nil, stateFailure(dir, err)
	}
	return a, nil
}

// awaitAuthority reads a root that another process is writing.
func awaitAuthority(crt, key string) (*Authority, error) {
	for range 50 {
		if a, err := readAuthority(crt, key); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return a, err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil, &Failure{"bad-certificate", key + " is there without " + crt, "remove it, and a new root is made"}
}

func stateFailure(dir string, err error) error {
	return &Failure{"state-directory", "cannot keep the local authority in " + dir + ": " + err.Error(),
		"name a directory that Loadstar may write: `state DIRECTORY` in the global options"}
}

// writeOnce writes a file that must not exist, whole or not at all.
func writeOnce(path string, text []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}

func readAuthority(crt, key string) (*Authority, error) {
	for _, f := range []string{crt, key} {
		if _, err := os.Stat(f); err != nil {
			return nil, err
		}
	}
	l, err := loadPair(crt, key)
	if err != nil {
		return nil, err
	}
	root := l[0].leaf
	k, ok := l[0].cert.Load().PrivateKey.(crypto.Signer)
	switch {
	case !ok || !root.IsCA:
		return nil, failure("bad-certificate", "%s is no authority's certificate", crt)
	case time.Now().After(root.NotAfter):
		return nil, &Failure{"certificate-expired", "the local authority's root in " + crt + " has expired", "remove it and " + key + ", and a new one is made"}
	}
	return &Authority{root: root, key: k}, nil
}

func newAuthority(now time.Time, name string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(rootLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	root, err := x509.ParseCertificate(der)
	return &Authority{root: root, key: key}, err
}

// issue makes a certificate for a host name, a wildcard or an address.
func (a *Authority) issue(name string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{Organization: []string{"Loadstar local authority"}},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		t.IPAddresses = []net.IP{ip.AsSlice()}
		if ip.IsLoopback() {
			t.DNSNames = []string{"localhost"}
		}
	} else {
		t.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.root, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

// Root gives the certificate that clients are to trust.
func (a *Authority) Root() *x509.Certificate { return a.root }

func serial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[0] &= 0x7f // positive (RFC 5280 §4.1.2.2)
	return new(big.Int).SetBytes(b[:])
}
