package certs

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTickets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tk := NewTickets()
		a, _ := tk.Keys([]byte("a"))
		b, _ := tk.Keys([]byte("b"))
		if len(a) != 1 || a[0] == b[0] {
			t.Fatal("policies share a key")
		}
		again, _ := tk.Keys([]byte("a"))
		if again[0] != a[0] {
			t.Error("a key changed before its time")
		}
		first := a[0]
		for i := 1; i <= 4; i++ {
			time.Sleep(ticketPeriod)
			k, period := tk.Keys([]byte("a"))
			if period != int64(i) || len(k) != min(i+1, ticketKeys) || k[0] == first {
				t.Errorf("after %d hours: %d keys of period %d", i, len(k), period)
			}
			old := false
			for _, key := range k[1:] {
				old = old || key == first
			}
			if old != (i < ticketKeys) {
				t.Errorf("after %d hours the first key is kept: %t", i, old)
			}
		}
		last, _ := tk.Keys([]byte("a"))
		time.Sleep(100 * ticketPeriod)
		for _, key := range func() [][32]byte { k, _ := tk.Keys([]byte("a")); return k }() {
			if key == last[0] {
				t.Error("a key is kept for days")
			}
		}
	})
}

func TestPolicyFollowsTickets(t *testing.T) {
	m := newMaker(t)
	m.issue("a", ecKey(t), nil, "a.test")
	s := NewStore(m.files("a"), false, quiet)
	p := NewPolicy(Settings{MinVersion: tls.VersionTLS12, Tickets: NewTickets()}, s)
	one := p.Config()
	if p.Config() != one {
		t.Error("a configuration is made for each handshake")
	}
	if n := testing.AllocsPerRun(100, func() { p.Config() }); n != 0 {
		t.Error(n, "allocations")
	}
	p.settings.Tickets.start = p.settings.Tickets.start.Add(-ticketPeriod)
	if p.Config() == one {
		t.Error("an hour later the keys are the same")
	}
}

func TestPolicyIdentity(t *testing.T) {
	base := Settings{MinVersion: tls.VersionTLS12, Certificates: "a"}
	with := func(f func(*Settings)) *Policy { s := base; f(&s); return NewPolicy(s, &Internal{}) }
	p := NewPolicy(base, &Internal{})
	if q := with(func(s *Settings) { s.Tickets = NewTickets() }); q.ID != p.ID || q.Auth != p.Auth {
		t.Error("tickets are no part of a policy's identity")
	}
	if q := with(func(s *Settings) { s.Certificates = "b" }); q.ID == p.ID || q.Auth != p.Auth {
		t.Error("other certificates: another policy that lets the same clients in")
	}
	for _, f := range []func(*Settings){
		func(s *Settings) { s.Auth = tls.RequireAndVerifyClientCert },
		func(s *Settings) { s.MinVersion = tls.VersionTLS13 },
		func(s *Settings) { s.Trust = "ca" },
		func(s *Settings) { s.Ciphers = []uint16{1} },
	} {
		if q := with(f); q.ID == p.ID || q.Auth == p.Auth {
			t.Error("other rules are taken for the same")
		}
	}
}

// revoke writes the authority's list of revoked certificates.
func (m *maker) revoke(name string, key crypto.Signer, serials ...*big.Int) {
	m.t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)}
	for _, n := range serials {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: n, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, m.root, key)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write(name, "X509 CRL", der)
}

// outcome does a handshake and a ping, and gives the server's error.
func outcome(t *testing.T, server, client *tls.Config) (resumed bool, err error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		a, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer a.Close()
		c := tls.Server(a, server)
		err = c.Handshake()
		if err == nil {
			_, err = c.Write([]byte("x"))
		}
		done <- err
	}()
	b, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	c := tls.Client(b, client)
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = c.Read(make([]byte, 1)) // takes the ticket in, too
	return c.ConnectionState().DidResume, <-done
}

func TestClients(t *testing.T) {
	m := newMaker(t)
	m.issue("site", ecKey(t), nil, "a.test")
	ann := m.issue("ann", ecKey(t), nil, "ann.test")
	m.revoke("ca.crl", m.key)
	c := NewClients(m.path("ca.crt"), m.path("ca.crl"), quiet)
	if found := c.Check(); len(found) != 0 {
		t.Fatal(found)
	}
	p := NewPolicy(Settings{MinVersion: tls.VersionTLS12, Auth: tls.RequireAndVerifyClientCert, Clients: c, Tickets: NewTickets()},
		NewStore(m.files("site"), false, quiet))
	pair, err := tls.LoadX509KeyPair(m.path("ann.crt"), m.path("ann.key"))
	if err != nil {
		t.Fatal(err)
	}
	client := &tls.Config{ServerName: "a.test", InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	if _, err := outcome(t, p.Config(), client); err == nil {
		t.Error("let in without a certificate")
	}
	client.Certificates = []tls.Certificate{pair}
	for _, want := range []bool{false, true} {
		if resumed, err := outcome(t, p.Config(), client); err != nil || resumed != want {
			t.Errorf("with a certificate: %v, resumed %t", err, resumed)
		}
	}
	stranger := newMaker(t)
	stranger.issue("bob", ecKey(t), nil, "bob.test")
	if client.Certificates[0], err = tls.LoadX509KeyPair(stranger.path("bob.crt"), stranger.path("bob.key")); err != nil {
		t.Fatal(err)
	}
	client.ClientSessionCache = nil
	if _, err := outcome(t, p.Config(), client); err == nil {
		t.Error("a stranger's certificate is taken")
	}
	client.Certificates[0] = pair
	before := p.Config()
	m.revoke("ca.crl", m.key, ann.SerialNumber)
	c.Refresh()
	if p.Config() == before {
		t.Error("the configuration does not follow the list")
	}
	if _, err := outcome(t, p.Config(), client); err == nil || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("a revoked certificate: %v", err)
	}
	m.text("ca.crl", "broken")
	c.Refresh()
	if _, err := outcome(t, p.Config(), client); err == nil {
		t.Error("a broken list revokes nothing")
	}
	if !has(c.Check(), "bad-crl") {
		t.Error("a broken list is not reported")
	}
}

// A session is resumed under the same policy, whichever object that is, and under no
// other one: not even where crypto/tls would find nothing wrong with it.
func TestSessionsStayWithTheirPolicy(t *testing.T) {
	m := newMaker(t)
	m.issue("a", ecKey(t), nil, "a.test")
	m.issue("ann", ecKey(t), nil, "ann.test")
	ann, err := tls.LoadX509KeyPair(m.path("ann.crt"), m.path("ann.key"))
	if err != nil {
		t.Fatal(err)
	}
	store, clients, tickets := NewStore(m.files("a"), false, quiet), NewClients(m.path("ca.crt"), "", quiet), NewTickets()
	base := Settings{MinVersion: tls.VersionTLS12, Tickets: tickets, Certificates: "a", Auth: tls.VerifyClientCertIfGiven, Clients: clients, Trust: "ca"}
	for name, c := range map[string]struct {
		change func(*Settings)
		want   bool
	}{
		"the same":           {func(*Settings) {}, true},
		"other certificates": {func(s *Settings) { s.Certificates = "b" }, false},
		"required":           {func(s *Settings) { s.Auth = tls.RequireAndVerifyClientCert }, false},
		"other authorities":  {func(s *Settings) { s.Trust = "another" }, false},
		"other protocols":    {func(s *Settings) { s.Protocols = []string{"h2"} }, false},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			client := &tls.Config{
				ServerName: "a.test", InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(1),
				Certificates: []tls.Certificate{ann}, MaxVersion: version,
			}
			if _, err := outcome(t, NewPolicy(base, store).Config(), client); err != nil {
				t.Fatal(err)
			}
			other := base
			c.change(&other)
			resumed, err := outcome(t, NewPolicy(other, store).Config(), client)
			if err != nil || resumed != c.want {
				t.Errorf("%s, %s: resumed %t, %v", name, tls.VersionName(version), resumed, err)
			}
		}
	}
}

// A session that was begun before a certificate was revoked is not resumed after.
func TestRevokedNotResumed(t *testing.T) {
	m := newMaker(t)
	ann := m.issue("ann", ecKey(t), nil, "ann.test")
	m.revoke("ca.crl", m.key, ann.SerialNumber)
	tr, err := readTrust(m.path("ca.crt"), m.path("ca.crl"))
	if err != nil {
		t.Fatal(err)
	}
	state := tls.ConnectionState{DidResume: true, VerifiedChains: [][]*x509.Certificate{{ann, m.root}}}
	if tr.verify(state) == nil {
		t.Error("resumed")
	}
}

func TestClientsRefused(t *testing.T) {
	m, other := newMaker(t), newMaker(t)
	m.issue("leaf", ecKey(t), nil, "a.test")
	m.text("none.crt", "nothing")
	other.revoke("other.crl", other.key)
	m.text("other.crl", other.read("other.crl"))
	for _, c := range []struct{ ca, crl, rule string }{
		{"leaf.crt", "", "client-auth-without-ca"},
		{"none.crt", "", "client-auth-without-ca"},
		{"gone.crt", "", "unreadable-file"},
		{"ca.crt", "ca.crt", "bad-crl"},
		{"ca.crt", "gone.crl", "unreadable-file"},
		{"ca.crt", "other.crl", "bad-crl"},
	} {
		crl := ""
		if c.crl != "" {
			crl = m.path(c.crl)
		}
		if found := NewClients(m.path(c.ca), crl, quiet).Check(); len(found) != 1 || found[0].Rule != c.rule {
			t.Errorf("%v: %v", c, found)
		}
	}
}

func TestAuthority(t *testing.T) {
	dir := t.TempDir()
	dry, err := OpenAuthority(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	a, err := OpenAuthority(dir, false)
	if err != nil || bytes.Equal(a.root.Raw, dry.root.Raw) {
		t.Fatal("a check has written something", err)
	}
	again, err := OpenAuthority(dir, false)
	if err != nil || !bytes.Equal(a.root.Raw, again.root.Raw) {
		t.Fatal("the root is not kept", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.Root())
	for _, c := range []struct {
		hosts       []string
		asked, want string
	}{
		{[]string{"localhost"}, "localhost", "localhost"},
		{[]string{"localhost"}, "evil.test", "localhost"},
		{[]string{"*.a.test"}, "x.a.test", "*.a.test"},
		{[]string{"*.a.test"}, "y.x.a.test", "*.a.test"},
		{[]string{"b.test", "*.a.test"}, "x.a.test", "*.a.test"},
		{[]string{""}, "any.test", "any.test"},
		{[]string{""}, "", "localhost"},
		{[]string{""}, "127.0.0.1", "127.0.0.1"},
	} {
		s := &Internal{Authority: a, Hosts: c.hosts}
		got, err := s.Certificate(&tls.ClientHelloInfo{ServerName: c.asked})
		if err != nil {
			t.Fatal(err)
		}
		name := strings.Replace(c.want, "*", "x", 1)
		if _, err := got.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("%v asked for %q: %v", c.hosts, c.asked, err)
		}
		if same, _ := s.Certificate(&tls.ClientHelloInfo{ServerName: c.asked}); same != got {
			t.Errorf("%q is issued anew each time", c.asked)
		}
		later, err := s.leaf(s.name(c.asked), time.Now().Add(leafLife-time.Hour))
		if err != nil || later == got {
			t.Errorf("%q is not renewed: %v", c.asked, err)
		}
	}
	s := &Internal{Authority: a, Hosts: []string{""}}
	s.made = map[string]*tls.Certificate{}
	for i := range mostMade {
		s.made[strconv.Itoa(i)] = nil
	}
	if _, err := s.Certificate(&tls.ClientHelloInfo{ServerName: "one.more"}); err != nil || len(s.made) > mostMade {
		t.Errorf("%d certificates are kept (%v)", len(s.made), err)
	}
}
