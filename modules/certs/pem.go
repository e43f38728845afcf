package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// maxFile bounds what is read of one file; the longest chains have a tenth of it.
const maxFile = 1 << 20

// Failure is why certificates cannot be used.
type Failure struct{ Rule, Message, Help string }

// Error gives the message.
func (f *Failure) Error() string { return f.Message }

func failure(rule, format string, args ...any) *Failure {
	return &Failure{Rule: rule, Message: fmt.Sprintf(format, args...)}
}

// finding gives an error its form as a diagnostic.
func finding(file int, err error) Finding {
	f := Finding{File: file, Severity: diag.Error, Rule: "bad-certificate", Message: err.Error()}
	var known *Failure
	if errors.As(err, &known) {
		f.Rule, f.Help = known.Rule, known.Help
	}
	return f
}

// pile is what some PEM files hold.
type pile struct {
	chains [][]*x509.Certificate // one a file
	keys   []crypto.Signer
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, failure("unreadable-file", "cannot read %s: %v", path, err)
	}
	defer f.Close()
	buf := make([]byte, 0, 8<<10)
	b := bytes.NewBuffer(buf)
	if _, err := b.ReadFrom(&limited{f, maxFile}); err != nil {
		return nil, failure("unreadable-file", "cannot read %s: %v", path, err)
	}
	return b.Bytes(), nil
}

// limited fails beyond a limit rather than giving a part for the whole.
type limited struct {
	f    *os.File
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.f.Read(p)
	if l.left -= n; l.left < 0 {
		return 0, fmt.Errorf("it has more than %d bytes", maxFile)
	}
	return n, err
}

// add reads the certificates and keys of a file.
func (p *pile) add(path string, text []byte) error {
	var chain []*x509.Certificate
	rest := text
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case block.Type == "CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return failure("bad-certificate", "%s holds a certificate that cannot be read: %v", path, err)
			}
			chain = append(chain, c)
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return &Failure{"bad-key", "the key in " + path + " is encrypted", "store it without a passphrase, readable by Loadstar only"}
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			k, err := parseKey(block.Bytes)
			if err != nil {
				return failure("bad-key", "%s holds a key that cannot be read: %v", path, err)
			}
			p.keys = append(p.keys, k)
		}
	}
	if chain != nil {
		p.chains = append(p.chains, chain)
	}
	if i := bytes.Index(rest, []byte("-----BEGIN ")); i >= 0 {
		return &Failure{"bad-pem", path + " ends inside a PEM block", "it may be half written: write to another name first, and rename"}
	}
	return nil
}

func parseKey(der []byte) (crypto.Signer, error) {
	if k, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		if s, ok := k.(crypto.Signer); ok {
			return s, nil
		}
		return nil, fmt.Errorf("it is a %T, which cannot sign", k)
	}
	if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return k, nil
	}
	return x509.ParseECPrivateKey(der)
}

// same compares public keys.
func same(a, b crypto.PublicKey) bool {
	e, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && e.Equal(b)
}

// keyFor finds the key of a certificate.
func (p *pile) keyFor(c *x509.Certificate) crypto.Signer {
	for _, k := range p.keys {
		if same(k.Public(), c.PublicKey) {
			return k
		}
	}
	return nil
}

// loadPair reads `tls CERT KEY`.
func loadPair(cert, key string) ([]*entry, error) {
	p := &pile{}
	text, err := readFile(cert)
	if err != nil {
		return nil, err
	}
	if err := p.add(cert, text); err != nil {
		return nil, err
	}
	p.keys = nil // the key is where the configuration says it is
	if len(p.chains) == 0 {
		return nil, failure("bad-certificate", "%s holds no certificate", cert)
	}
	if text, err = readFile(key); err != nil {
		return nil, err
	}
	chain := p.chains[0]
	if err := p.add(key, text); err != nil {
		return nil, err
	}
	if len(p.keys) == 0 {
		return nil, failure("bad-key", "%s holds no private key", key)
	}
	k := p.keyFor(chain[0])
	if k == nil {
		return nil, failure("key-mismatch", "the key in %s is not that of the certificate in %s", key, cert)
	}
	return []*entry{newEntry(chain, k)}, nil
}

// loadTogether reads files that hold certificates and keys side by side: a
// directory, or one file with both. Who belongs to whom is told by the keys.
func loadTogether(where string, files []string) ([]*entry, error) {
	p := &pile{}
	for _, f := range files {
		text, err := readFile(f)
		if err != nil {
			return nil, err
		}
		if err := p.add(f, text); err != nil {
			return nil, err
		}
	}
	var out []*entry
	for _, chain := range p.chains {
		k := p.keyFor(chain[0])
		if k == nil {
			continue // of an authority, such as certbot's chain.pem
		}
		twin := false
		for i, e := range out {
			if e.leaf.Equal(chain[0]) {
				if twin = true; len(chain) > len(e.chain) {
					out[i] = newEntry(chain, k)
				}
			}
		}
		if !twin {
			out = append(out, newEntry(chain, k))
		}
	}
	switch {
	case out != nil:
		return out, nil
	case len(p.chains) == 0:
		return nil, &Failure{"no-certificates", where + " holds no certificates", "it needs files that end in .pem, .crt, .cer or .key"}
	case len(p.keys) == 0:
		return nil, failure("bad-key", "%s holds no private key", where)
	default:
		return nil, failure("key-mismatch", "no key in %s is that of a certificate there", where)
	}
}

// pemFiles lists the files of a directory that may matter.
func pemFiles(dir string) ([]string, error) {
	all, err := os.ReadDir(dir)
	if err != nil {
		return nil, failure("unreadable-file", "cannot read the directory %s", dir)
	}
	var out []string
	for _, e := range all {
		switch filepath.Ext(e.Name()) {
		case ".pem", ".crt", ".cer", ".key":
			if !strings.HasPrefix(e.Name(), ".") && !e.IsDir() {
				out = append(out, filepath.Join(dir, e.Name()))
			}
		}
	}
	return out, nil
}

// newEntry makes an entry of a chain and its key.
func newEntry(chain []*x509.Certificate, key crypto.Signer) *entry {
	e := &entry{leaf: chain[0], chain: chain}
	c := &tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, x := range chain {
		c.Certificate = append(c.Certificate, x.Raw)
	}
	switch chain[0].PublicKey.(type) {
	case *ecdsa.PublicKey:
		e.rank = 0
	case ed25519.PublicKey:
		e.rank = 1
	default:
		e.rank = 2
	}
	e.cert.Store(c)
	return e
}
