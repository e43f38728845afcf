package acme

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"time"
)

// Settings say how certificates are had. Equal ones share a Manager.
type Settings struct {
	Email   string // for the authority's notices; may be empty
	CAs     []CA   // tried in this order
	Storage string // the directory
	KeyType string // of the certificates: p256, p384, rsa2048 or rsa4096
	Profile string // of the authority's, "": its default
	OCSP    bool   // staples are fetched where a certificate names a responder
	// HTTP and ALPN are the challenges that may be used beside DNS, which is used
	// alone where it is set.
	HTTP, ALPN bool
	DNS        DNS
	// Ask is the URL that says for which names certificates may be had on demand;
	// "": they are had for the names of the sites, and for those only.
	Ask string
}

// CA is an authority.
type CA struct {
	URL        string // of its directory (RFC 8555 §7.1.1)
	Roots      []byte // PEM: who vouches for the authority's own server; nil: the system's
	KeyID, MAC string // of the external account binding (RFC 8555 §7.3.4)
}

// Host gives the name of the authority's server.
func (ca *CA) Host() string {
	u, err := url.Parse(ca.URL)
	if err != nil {
		return ca.URL
	}
	return u.Host
}

// DNS is how TXT records are put in place (RFC 8555 §8.4): by a program or by a
// webhook.
type DNS struct {
	Program   []string // with its first arguments
	URL       string
	Resolvers []string      // who is asked whether a record is there; nil: the zone's own servers
	Delay     time.Duration // before the first look
	Wait      time.Duration // for the record to be there; negative: nobody looks
}

// On reports whether DNS is the challenge.
func (d *DNS) On() bool { return len(d.Program) > 0 || d.URL != "" }

// Key names a Manager over reloads. It shows no secret.
type Key string

// Key gives equal keys to equal settings.
func (s *Settings) Key() Key {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%q", fmt.Sprintf("%+v", *s))))
	return Key(hex.EncodeToString(sum[:12]))
}
