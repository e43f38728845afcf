package check

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
)

// addresses cuts the addresses of a site out of its words: ADDRESS[, ADDRESS…],
// a comma behind each but the last.
func (c *checker) addresses(st stmt) []config.Address {
	var out []config.Address
	comma := true // whether a comma stands before the next one
	for _, w := range st.words {
		if !comma {
			d := c.errorf(w.place, "bad-address", "a comma is missing before %q", w.text)
			d.Help = append(d.Help, "the addresses of a site are written ADDRESS, ADDRESS { … }")
		}
		text := w.text
		if text, comma = strings.CutSuffix(text, ","); text == "" {
			c.errorf(w.place, "bad-address", "an address is missing before the comma")
			continue
		}
		parts := []string{text}
		if w.plain {
			parts = strings.Split(text, ",")
		}
		if w.bad {
			continue // it is not what it was to be, and that has been said
		}
		for _, p := range parts {
			if a, ok := c.address(word{text: p, plain: w.plain, place: w.place}); ok {
				out = append(out, a)
			}
		}
	}
	if comma {
		c.errorf(st.place, "bad-address", "an address is missing after the last comma")
	}
	return out
}

// address takes one site address apart; the table in the language's reference
// is its specification.
func (c *checker) address(w word) (config.Address, bool) {
	a := config.Address{Text: w.text, Range: w.rng}
	problem, help := parseAddress(&a)
	if problem != "" {
		d := c.errorf(w.place, "bad-address", "%s", problem)
		if help != "" {
			d.Help = append(d.Help, help)
		}
		return a, false
	}
	return a, true
}

var schemes = []string{"http", "https", "tcp", "tls"}

func parseAddress(a *config.Address) (problem, help string) {
	scheme, rest, explicit := strings.Cut(a.Text, "://")
	if !explicit {
		scheme, rest = "", a.Text
	} else if !isOneOf(scheme, schemes) {
		if near := nearest(scheme, schemes); near != "" {
			help = "did you mean " + quoted(near+"://"+rest) + "?"
		}
		return quoted(scheme) + " is no scheme of a site: write http, https, tcp or tls", help
	}
	if path, ok := strings.CutPrefix(rest, "unix/"); ok {
		a.Scheme = scheme
		if scheme == "" {
			a.Scheme = "http"
		}
		a.TLS = scheme == "https" || scheme == "tls"
		if a.Path = path; len(path) < 2 || path[0] != '/' {
			return quoted(a.Text) + " names no socket: write unix//PATH", ""
		}
		return "", ""
	}
	if i := strings.IndexAny(rest, "/?#@"); i >= 0 {
		return "a site address is a scheme, a host and a port, without " + quoted(rest[i:]),
			"paths are told apart inside the site: handle /path/* { … }"
	}
	host, port, problem := splitPort(rest)
	if problem != "" {
		return quoted(a.Text) + " " + problem, ""
	}
	a.Scheme, a.Host = scheme, strings.ToLower(strings.TrimSuffix(host, "."))
	if problem, help = hostProblem(a); problem != "" {
		return problem, help
	}
	return settleAddress(a, port)
}

// settleAddress fills in the scheme and the port that were not written.
func settleAddress(a *config.Address, port string) (problem, help string) {
	switch {
	case a.Scheme == "" && a.Host == "" && port == "":
		return "this address names nothing", ""
	case a.Scheme == "" && a.Host == "":
		a.Scheme = "http"
	case a.Scheme == "" && port == "80":
		a.Scheme = "http"
	case a.Scheme == "" && !isPublic(a.Host):
		return "no automatic certificate is to be had for " + quoted(a.Host),
			"write " + quoted("http://"+a.Text) + ", or " + quoted("https://"+a.Text) + " with a certificate (`tls`) or an authority of your own (`acme ca`)"
	case a.Scheme == "":
		a.Scheme = "https"
	}
	a.TLS = a.Scheme == "https" || a.Scheme == "tls"
	a.Automatic = a.TLS && isPublic(a.Host)
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[a.Scheme]
	}
	if port == "" {
		return quoted(a.Text) + " needs a port", "for example " + quoted(a.Text+":443")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return quoted(port) + " is no port: write a number from 1 to 65535", ""
	}
	a.Port = uint16(n)
	return "", ""
}

// splitPort cuts host[:port] and [v6][:port].
func splitPort(text string) (host, port, problem string) {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		host, rest, ok := strings.Cut(inner, "]")
		if !ok {
			return "", "", "lacks a closing bracket"
		}
		if ip, err := netip.ParseAddr(host); err != nil || !ip.Is6() {
			return "", "", "holds no IPv6 address in its brackets"
		}
		if rest == "" {
			return host, "", ""
		}
		if port, ok = strings.CutPrefix(rest, ":"); !ok || port == "" {
			return "", "", "has no port behind its bracket"
		}
		return host, port, ""
	}
	if strings.Count(text, ":") > 1 {
		return "", "", "has too many colons: an IPv6 address is written in brackets, [::1]:80"
	}
	host, port, ok := strings.Cut(text, ":")
	if ok && port == "" {
		return "", "", "has no port behind its colon"
	}
	return host, port, ""
}

// hostProblem checks the host of a site.
func hostProblem(a *config.Address) (problem, help string) {
	_, err := netip.ParseAddr(a.Host)
	ip := err == nil
	switch {
	case a.Host == "" || ip:
		return "", ""
	case a.Scheme == "tcp":
		return "a tcp site listens at an IP address, not at " + quoted(a.Host), "to tell TLS streams apart by name, use a matcher: @x sni " + a.Host
	case a.Host == "*":
		return `the host "*" is written by leaving it out`, "for example http://:80"
	}
	return nameProblem(strings.TrimPrefix(a.Host, "*."))
}

// nameProblem checks a DNS name (RFC 1123 §2.1, and _ as it is in use).
func nameProblem(name string) (problem, help string) {
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c >= 0x80:
			return quoted(name) + " is not ASCII", "international names are written in their xn-- form"
		case c == '*':
			return "a wildcard stands for the first label only, as in *.example.com", ""
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', c == '-', c == '.', c == '_':
		default:
			return quoted(name) + " is no host name", ""
		}
	}
	if name == "" || len(name) > 253 || name[0] == '.' || strings.Contains(name, "..") {
		return quoted(name) + " is no host name", ""
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) > 63 {
			return quoted(name) + " is no host name: a label has at most 63 letters", ""
		}
	}
	return "", ""
}

// private are the ends of names that no public authority vouches for: those of
// special use (RFC 6761, RFC 6762, RFC 8375, RFC 9476), the one that ICANN keeps for
// private use, and those that it keeps from ever being delegated because networks use
// them on their own.
var private = []string{
	"localhost", "local", "internal", "test", "example", "invalid", "alt", "arpa", "corp", "home", "mail", "lan", "intranet",
}

// isPublic reports whether a certificate authority could vouch for a name.
func isPublic(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	dot := strings.LastIndexByte(host, '.')
	if dot < 0 || isOneOf(host[dot+1:], private) {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimPrefix(host, "*."), ".") {
		// CA/Browser Forum, Baseline Requirements §7.1.4.2.1: no underscores.
		if strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") || strings.Contains(label, "_") {
			return false
		}
	}
	return true
}

func isOneOf(text string, words []string) bool {
	for _, w := range words {
		if w == text {
			return true
		}
	}
	return false
}
