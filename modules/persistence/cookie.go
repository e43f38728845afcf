package persistence

import (
	"fmt"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

var cookieModule = Module{
	Spec: spec.Word{
		Name: "cookie",
		Doc:  "By a cookie that names the server",
		Long: "Each server says its value with its option `cookie`. With `insert` Loadstar sets the cookie itself, when the client has none " +
			"that names the server which answers; the answer of a server without a value deletes the cookie. With `rewrite` it puts the value " +
			"into the cookie of that name that the server sets, and with `prefix` before the server's own value, to be taken off again " +
			"on the way in. A client whose server is down is balanced anew.",
		Example: "persist cookie SERVERID insert indirect nocache",
		Args: []spec.Arg{
			{Name: "NAME", Kind: spec.String, Doc: "the cookie's name; case counts"},
		},
		Options: []spec.Word{
			{Name: "insert", Doc: "Loadstar sets the cookie"},
			{Name: "rewrite", Doc: "the value is put into the cookie that the server sets"},
			{Name: "prefix", Doc: "the value and a ~ are put before the server's value of its cookie"},
			{Name: "indirect", Doc: "servers do not see the cookie"},
			{Name: "nocache", Doc: "an answer that the cookie was added to and that looks cacheable gets `cache-control: private`"},
			{Name: "httponly", Doc: "scripts cannot read the cookie (RFC 6265 §4.1.2.6)"},
			{Name: "secure", Doc: "the cookie is sent over HTTPS only (RFC 6265 §4.1.2.5)"},
			{Name: "preserve", Doc: "a cookie of that name set by the server is left alone"},
			{Name: "post_only", Doc: "only answers to POST get the cookie"},
			{Name: "domain", Doc: "a domain that the cookie is for", Repeat: true,
				Args: []spec.Arg{{Name: "DOMAIN", Kind: spec.String, Doc: "a domain name, often with a leading dot"}}},
			{Name: "max_idle", Doc: "a cookie that was not seen for that long counts no more; the cookie carries the date",
				Args: []spec.Arg{{Name: "DURATION", Kind: spec.Duration, Min: int64(time.Second), Doc: "whole seconds"}}},
			{Name: "max_life", Doc: "a cookie that was first set that long ago counts no more; the cookie carries the date",
				Args: []spec.Arg{{Name: "DURATION", Kind: spec.Duration, Min: int64(time.Second), Doc: "whole seconds"}}},
			{Name: "hide", Doc: "the cookie holds, instead of the value, what only a secret makes of it",
				Long: "The value in the cookie is a keyed hash (HMAC-SHA-256) of the pool's name and of the server's value, or of the server's " +
					"name where it has none: it shows neither, stays the same over reloads, and differs from pool to pool.",
				Args: []spec.Arg{{Name: "SECRET", Kind: spec.String, Doc: "at least 16 bytes, the same on every Loadstar in front of these servers"}}},
		},
	},
	New: newCookie,
}

// mode is who makes the cookie.
type mode uint8

const (
	insert mode = iota
	rewrite
	prefix
)

// cookie follows the rules of HAProxy's `cookie NAME`.
type cookie struct {
	name                                  []byte
	mode                                  mode
	byValue                               map[string][]*upstream.Server
	values                                []string // in the cookie, by server index; "": it has none
	lead                                  string   // of Set-Cookie: NAME=
	tail                                  string   // of Set-Cookie: behind the value
	indirect, nocache, preserve, postOnly bool
	maxIdle, maxLife                      int64 // seconds
}

func newCookie(n *config.Node, env *Env) (Affinity, error) {
	name := n.Text(0)
	if !cookieToken(name) {
		return nil, fmt.Errorf("%q is no cookie name (RFC 6265 §4.1.1)", name)
	}
	mode, err := modeOf(n)
	if err != nil {
		return nil, err
	}
	c := &cookie{
		name: []byte(name), mode: mode, lead: name + "=", byValue: map[string][]*upstream.Server{},
		indirect: n.Has("indirect"), nocache: n.Has("nocache"), preserve: n.Has("preserve"), postOnly: n.Has("post_only"),
		maxIdle: int64(n.OptionDuration("max_idle") / time.Second),
		maxLife: int64(n.OptionDuration("max_life") / time.Second),
	}
	if c.tail, err = attributes(n); err != nil {
		return nil, err
	}
	if err := c.assign(n, env); err != nil {
		return nil, err
	}
	return c, nil
}

// modeOf reads who makes the cookie, and refuses what has no meaning then.
func modeOf(n *config.Node) (mode, error) {
	modes := [...]string{insert: "insert", rewrite: "rewrite", prefix: "prefix"}
	found, given := insert, 0
	for m, word := range modes {
		if n.Has(word) {
			found, given = mode(m), given+1
		}
	}
	switch given {
	case 0:
		return 0, fmt.Errorf("who makes the cookie? write insert, rewrite or prefix behind %s", n.Text(0))
	case 1:
	default:
		return 0, fmt.Errorf("insert, rewrite and prefix exclude each other")
	}
	if found == insert {
		return found, nil
	}
	for _, word := range []string{"indirect", "nocache", "httponly", "secure", "domain", "post_only", "max_idle", "max_life"} {
		if n.Has(word) {
			return 0, fmt.Errorf("%s is for cookies that Loadstar makes itself, with insert; this one is the server's (%s)", word, modes[found])
		}
	}
	return found, nil
}

// attributes gives what follows the value (RFC 6265 §4.1.2), in HAProxy's order.
func attributes(n *config.Node) (string, error) {
	tail := "; path=/"
	for _, o := range config.Find(n.Options, "domain") {
		if strings.ContainsFunc(o.Text(0), notCookieOctet) {
			return "", fmt.Errorf("%q is no domain", o.Text(0))
		}
		tail += "; domain=" + o.Text(0)
	}
	if n.Has("httponly") {
		tail += "; HttpOnly"
	}
	if n.Has("secure") {
		tail += "; Secure"
	}
	return tail, nil
}

// delimiters stand behind the value in a cookie: they cannot be in it.
const (
	prefixEnd = '~'
	dateEnd   = '|'
)

// assign gives every server its value.
func (c *cookie) assign(n *config.Node, env *Env) error {
	secret := n.OptionText("hide")
	if n.Has("hide") && len(secret) < minSecret {
		return fmt.Errorf("the secret of hide has %d bytes; at least %d are needed", len(secret), minSecret)
	}
	c.values = make([]string, len(env.Servers))
	for i, s := range env.Servers {
		value := s.Cookie
		switch {
		case strings.ContainsFunc(value, notCookieOctet):
			return fmt.Errorf("server %s: %q cannot be a cookie value (RFC 6265 §4.1.1)", s.Name, value)
		case strings.ContainsAny(value, "~|"):
			return fmt.Errorf("server %s: the cookie value %q has a ~ or a | in it, which stand behind a value", s.Name, value)
		case secret != "":
			value = hidden(secret, env.Pool, s)
		case value == "":
			if !s.Backup {
				env.warn(s.Range, "cookie-without-values", "server %s has no cookie value: its clients are not kept", s.Name)
			}
			continue
		}
		for _, o := range c.byValue[value] {
			if !s.Backup && !o.Backup { // a backup may stand in for one under its value
				env.warn(s.Range, "cookie-shared", "server %s has the same cookie value %q as server %s: its clients go there while that one is up", s.Name, s.Cookie, o.Name)
				break
			}
		}
		c.values[i] = value
		c.byValue[value] = append(c.byValue[value], s)
	}
	return nil
}

// NeedsHTTP says that cookies are of HTTP.
func (c *cookie) NeedsHTTP() string { return "a cookie" }

func cookieToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", c)
	})
}

// notCookieOctet tells what cannot stand in a cookie value (RFC 6265 §4.1.1).
func notCookieOctet(c rune) bool {
	return c <= ' ' || c >= 0x7f || strings.ContainsRune("\",;\\", c)
}
