package check

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// checkNetwork checks 10.0.0.0/8, 10.1.2.3, 2001:db8::/32 (RFC 4632, RFC 4291).
func checkNetwork(text string) problem {
	if a, err := netip.ParseAddr(text); err == nil {
		if a.Zone() != "" {
			return bad("%q: a network has no zone", text)
		}
		return problem{}
	}
	n, err := netip.ParsePrefix(text)
	if err != nil {
		p := bad("%q is no network", text)
		p.help = "networks are written 10.0.0.0/8, 2001:db8::/32, or as one address"
		return p
	}
	if n != n.Masked() {
		return problem{
			rule: "host-bits", severity: diag.Warning,
			text: "the address in " + quoted(text) + " is not the first of its network",
			help: "it means " + n.Masked().String(),
		}
	}
	return problem{}
}

// checkAddress checks host:port, [v6]:port, :port and unix//path.
func checkAddress(text string) problem {
	if path, ok := strings.CutPrefix(text, "unix/"); ok {
		return checkSocket(text, path)
	}
	if _, after, ok := strings.Cut(text, "://"); ok {
		p := bad("%q has a scheme; here stands an address", text)
		p.help = "write " + quoted(strings.TrimRight(after, "/"))
		return p
	}
	if strings.Contains(text, "{") {
		return problem{
			rule: "open-proxy", text: "the address " + quoted(text) + " would come from the request: a client could have anything connected to",
			help: "write one pool for each destination, and choose among them by matchers",
		}
	}
	host, port, fault := splitPort(text)
	if fault != "" {
		return bad("%q %s", text, fault)
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" {
		if fault, help := nameProblem(host); fault != "" {
			return problem{rule: "bad-value", text: quoted(text) + " is no address: " + fault, help: help}
		}
	}
	if port == "" {
		p := bad("the address %q needs a port", text)
		p.help = "for example " + quoted(text+":80")
		return p
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return bad("%q is no port: write a number from 1 to 65535", port)
	}
	return problem{}
}

func checkSocket(text, path string) problem {
	if len(path) < 2 || path[0] != '/' {
		p := bad("%q names no socket", text)
		p.help = "a socket is written unix//PATH, as in unix//run/app.sock"
		return p
	}
	return problem{}
}

// checkSink checks udp://host:port, tcp://host:port, tls://host:port and unix//path.
func checkSink(text string) problem {
	if path, ok := strings.CutPrefix(text, "unix/"); ok {
		return checkSocket(text, path)
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || scheme != "udp" && scheme != "tcp" && scheme != "tls" {
		p := bad("%q is no address of a sink", text)
		p.help = "write udp://HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT or unix//PATH"
		return p
	}
	return checkAddress(rest)
}
