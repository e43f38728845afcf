//go:build integration

package main_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// ordinary writes a certificate as public authorities issue them: for ninety days,
// with a place where revocations are told.
func (i *issuer) ordinary(t *testing.T, dir string, key crypto.Signer) {
	t.Helper()
	i.n++
	tpl := &x509.Certificate{
		SerialNumber: new(big.Int).Lsh(big.NewInt(i.n), 70), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		CRLDistributionPoints: []string{"http://127.0.0.1:9/revoked.crl"},
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, i.root, key.Public(), i.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*pem.Block{"crt": {Type: "CERTIFICATE", Bytes: der}, "key": {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRealServersTestssl has testssl.sh look at our TLS with an ECDSA and with an RSA
// certificate: it may find nothing that it calls worse than low.
func TestRealServersTestssl(t *testing.T) {
	bin := ""
	for _, name := range []string{"testssl", "testssl.sh"} {
		if f, err := exec.LookPath(name); err == nil {
			bin = f
		}
	}
	if bin == "" {
		t.Skip("SKIP: no testssl.sh; apt-get install testssl.sh bsdextrautils")
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"ECDSA": ec, "RSA": rs} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			ca := newIssuer(t)
			ca.ordinary(t, dir, key)
			root := filepath.Join(dir, "root.pem")
			if err := os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.root.Raw}), 0o600); err != nil {
				t.Fatal(err)
			}
			port := e2e.Ports(t, 1)[0]
			// The headers are the site's own business, and testssl.sh wants some.
			e2e.Run(t, fmt.Sprintf(`https://localhost:%d {
	tls %s/crt %s/key
	header response Strict-Transport-Security "max-age=31536000"
	header response X-Frame-Options DENY
	header response X-Content-Type-Options nosniff
	header response Content-Security-Policy "default-src 'self'"
	respond "ok\n"
}
`, port, dir, dir), port)
			report := filepath.Join(dir, "report.json")
			cmd := exec.Command(bin, "--quiet", "--color", "0", "--warnings", "off", "--ip", "one", "--add-ca", root,
				"--protocols", "--server-preference", "--server-defaults", "--header", "--vulnerable", "--std", "--fs",
				"--jsonfile", report, fmt.Sprintf("localhost:%d", port))
			out, err := cmd.CombinedOutput()
			text, bad := os.ReadFile(report)
			if bad != nil {
				t.Fatalf("%v, %v\n%s", bad, err, out)
			}
			var findings []struct{ ID, Severity, Finding string }
			if err := json.Unmarshal(text, &findings); err != nil {
				t.Fatal(err)
			}
			grades := map[string]int{}
			for _, f := range findings {
				grades[f.Severity]++
				switch f.Severity {
				case "LOW":
					t.Logf("low: %s: %s", f.ID, f.Finding)
				case "MEDIUM", "HIGH", "CRITICAL", "FATAL":
					t.Errorf("%s: %s: %s", f.Severity, f.ID, f.Finding)
				}
			}
			if grades["OK"] < 20 {
				t.Errorf("it looked at little: %v\n%s", grades, out)
			}
			t.Logf("%v", grades)
		})
	}
}
