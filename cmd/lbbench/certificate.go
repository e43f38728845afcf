//go:build linux

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// keyKind is the kind of the key that a product's certificate has.
type keyKind string

const (
	ecdsaKey keyKind = "ecdsa" // P-256
	rsaKey   keyKind = "rsa"   // 2048 bits
)

// tlsName is the server name that TLS clients ask for.
const tlsName = "bench.example"

// makeCertificates writes a self-signed certificate of each kind to dir: KIND.crt,
// KIND.key, and both in KIND.pem, as HAProxy wants them.
func makeCertificates(dir string) error {
	for _, kind := range []keyKind{ecdsaKey, rsaKey} {
		var key crypto.Signer
		var err error
		if kind == rsaKey {
			key, err = rsa.GenerateKey(rand.Reader, 2048)
		} else {
			key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		}
		if err != nil {
			return err
		}
		if err := writeCertificate(filepath.Join(dir, string(kind)), key); err != nil {
			return err
		}
	}
	return nil
}

func writeCertificate(base string, key crypto.Signer) error {
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: tlsName},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(60 * 24 * time.Hour),
		DNSNames: []string{tlsName, "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	crt := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	for name, content := range map[string][]byte{".crt": crt, ".key": private, ".pem": append(crt[:len(crt):len(crt)], private...)} {
		if err := os.WriteFile(base+name, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
