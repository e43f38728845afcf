package flow

import (
	"crypto/rand"
	"encoding/hex"
	"net/netip"
	"strconv"
	"time"
)

// Told is what a PROXY header said of a connection beside its two addresses,
// which are Conn's Client and Local. All texts are printable ASCII.
type Told struct {
	Version   uint8  // of the header: 1 or 2
	Local     bool   // the proxy speaks for itself (LOCAL, UNKNOWN): no address was told
	Authority string // the name that the client asked the proxy for, lower case
	ALPN      string // the application protocol above
	UniqueID  string // as sent, or hexadecimal where that is not printable
	NetNS     string
	TLS       *ToldTLS // nil: the client spoke to the proxy in clear, or nothing was said
}

// ToldTLS is how the client spoke TLS to the proxy that told of it.
type ToldTLS struct {
	Version  string // as the proxy writes it: "TLSv1.3"
	Cipher   string
	CN       string // of the client's certificate
	SigAlg   string
	KeyAlg   string
	Cert     bool // the client showed a certificate, in this connection or its session
	Verified bool // and the proxy found it good
}

// ProxyFrom says whose PROXY header is read, before anything else on a
// connection. From those it is demanded; from all others it is not looked for.
type ProxyFrom struct {
	// Nets are the senders; on sockets without addresses (unix) everyone is one.
	Nets interface{ Contains(netip.Addr) bool }
	// Timeout is how long the header may take from accept on (0: 5 seconds).
	Timeout time.Duration
}

// Sends reports whether a peer's connections begin with a PROXY header.
func (p *ProxyFrom) Sends(peer netip.Addr) bool {
	return !peer.IsValid() || p.Nets.Contains(peer.Unmap())
}

// process tells this process's connections from those of others.
var process = func() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}()

// AppendUniqueID appends the connection's name among those of all machines: what
// the proxy in front called it, or else one of our own.
func (c *Conn) AppendUniqueID(b []byte) []byte {
	if c.Told != nil && c.Told.UniqueID != "" {
		return append(b, c.Told.UniqueID...)
	}
	b = append(append(b, process...), '-')
	return strconv.AppendUint(b, c.ID, 10)
}

// ToldFacts names what a PROXY header can say beside addresses, for templates and
// logs. Get gives "" for what was not said.
var ToldFacts = []struct {
	Name string
	Get  func(*Conn) string
}{
	{"authority", told(func(t *Told) string { return t.Authority })},
	{"alpn", told(func(t *Told) string { return t.ALPN })},
	{"unique_id", told(func(t *Told) string { return t.UniqueID })},
	{"netns", told(func(t *Told) string { return t.NetNS })},
	{"tls.version", toldTLS(func(t *ToldTLS) string { return t.Version })},
	{"tls.cipher", toldTLS(func(t *ToldTLS) string { return t.Cipher })},
	{"tls.client.cn", toldTLS(func(t *ToldTLS) string { return t.CN })},
	{"tls.client.verified", toldTLS(func(t *ToldTLS) string {
		if t.Verified {
			return "yes"
		}
		return ""
	})},
}

func told(get func(*Told) string) func(*Conn) string {
	return func(c *Conn) string {
		if c.Told == nil {
			return ""
		}
		return get(c.Told)
	}
}

func toldTLS(get func(*ToldTLS) string) func(*Conn) string {
	return told(func(t *Told) string {
		if t.TLS == nil {
			return ""
		}
		return get(t.TLS)
	})
}
