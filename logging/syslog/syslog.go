// Package syslog is the sink `syslog [ADDRESS]`: UDP, TCP, unix sockets, or the
// local daemon, through hashicorp/go-syslog, which frames messages (RFC 3164 header
// with an RFC 3339 date for remote ones), dials, and bounds each write.
//
// What that library does not speak is in wire.go: RFC 5424, octet counting, TLS. What
// else it cannot do is done in target.go: it dials only when there is a line to send, so that a
// missing daemon neither fails nor delays a configuration; it holds lines while the
// daemon is away; and it lets go of connections that cannot be trusted any
// more (see target.Check).
//
// A UDP datagram or a line written to a TCP connection counts as delivered when the
// kernel took it: neither protocol has an answer that could tell more.
package syslog

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/logging"
)

const defaultPort = "514" // RFC 5426 §3.3

var facilities = []string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}

// Module is the sink's row in the table of contents.
func Module() logging.SinkModule {
	return logging.SinkModule{
		Spec: spec.Word{
			Name: "syslog", Example: "log syslog udp://127.0.0.1:514 facility local0",
			Doc: "Send to a syslog daemon.",
			Args: []spec.Arg{{
				Name: "ADDRESS", Kind: spec.SinkAddr, Optional: true,
				Doc: "udp://host:port, tcp://host:port, tls://host:port or unix//path; the local daemon's /dev/log if absent.",
			}},
			Options: []spec.Word{
				{
					Name: "facility", Default: "local0", Example: "facility local0",
					Doc: "What kind of program the daemon shall take the lines to be from.",
					Args: []spec.Arg{{
						Name: "FACILITY", Kind: spec.Enum, Words: facilities,
						Doc: "A syslog facility (RFC 5424 §6.2.1).",
					}},
				},
				{
					Name: "tag", Default: "loadstar", Example: "tag shop",
					Doc:  "The program's name in front of each line.",
					Args: []spec.Arg{{Name: "TAG", Kind: spec.String, Doc: "A word."}},
				},
				{
					Name: "rfc", Default: "3164", Example: "rfc 5424",
					Doc:  "Which RFC messages are written by; 5424 has dates with a year and numbers its lines.",
					Args: []spec.Arg{{Name: "RFC", Kind: spec.Enum, Words: []string{"3164", "5424"}, Doc: "3164 or 5424"}},
				},
				{
					Name: "framing", Example: "framing octets",
					Doc: "How messages are told apart on TCP (RFC 6587): by their length, the default of RFC 5424 and of TLS, or by newlines.",
					Args: []spec.Arg{{
						Name: "FRAMING", Kind: spec.Enum, Words: []string{"octets", "newline"}, Doc: "octets or newline",
					}},
				},
				{
					Name: "ca", Example: "ca /etc/ssl/logs.pem",
					Doc:  "With tls://, who must have signed the daemon's certificate; the system's authorities if absent.",
					Args: []spec.Arg{{Name: "FILE", Kind: spec.File, Doc: "certificates, PEM"}},
				},
				{
					Name: "name", Example: "name logs.example.com",
					Doc:  "With tls://, the name in the daemon's certificate; the address's host if absent.",
					Args: []spec.Arg{{Name: "NAME", Kind: spec.String, Doc: "a host name"}},
				},
			},
		},
		Key:  key,
		Open: Open,
	}
}

func key(n *config.Node) (logging.Key, error) {
	k := logging.Key{
		Kind: "syslog", Target: n.Text(0),
		Facility: n.OptionText("facility"), Tag: n.OptionText("tag"),
	}
	if strings.ContainsFunc(k.Tag, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune("[]:", c) }) {
		return k, errors.New("a tag is one plain word, without blanks, brackets and colons")
	}
	network, _, err := split(k.Target)
	if err != nil {
		return k, err
	}
	o := options{rfc5424: n.OptionText("rfc") == "5424", framing: n.OptionText("framing"), name: n.OptionText("name")}
	if ca := n.Option("ca"); ca != nil && len(ca.Args) > 0 {
		o.ca = ca.Args[0].Path()
	}
	switch {
	case network != "tls" && (o.ca != "" || o.name != ""):
		return k, errors.New("ca and name are of TLS: write the address as tls://host:port")
	case o.framing != "" && network != "tcp" && network != "tls":
		return k, errors.New("framing is of TCP and TLS: elsewhere each message has a datagram of its own")
	case network == "tls" && o.framing == "newline":
		return k, errors.New("over TLS messages go with their length (RFC 5425 §4.3)")
	case network == "" && o.rfc5424:
		k.Target = "unix//dev/log" // go-syslog, which looks in other places, too, does not speak it
	}
	k.Options = o.String()
	return k, nil
}

// options are what a Key holds as text.
type options struct {
	rfc5424           bool
	framing, ca, name string
}

// String gives the options' place in a Key, "" where nothing is out of the ordinary.
func (o options) String() string {
	if o == (options{}) {
		return ""
	}
	return strings.Join([]string{strconv.FormatBool(o.rfc5424), o.framing, o.ca, o.name}, "\n")
}

func parseOptions(text string) options {
	f := strings.Split(text, "\n")
	if len(f) != 4 {
		return options{}
	}
	return options{f[0] == "true", f[1], f[2], f[3]}
}

var errAddress = errors.New("an address is udp://host:port, tcp://host:port, tls://host:port or unix//path")

const securePort = "6514" // RFC 5425 §4.1

// split takes an address apart; network "" means the local daemon.
func split(address string) (network, target string, err error) {
	if address == "" {
		return "", "", nil
	}
	if path, ok := strings.CutPrefix(address, "unix/"); ok {
		if !strings.HasPrefix(path, "/") {
			return "", "", errAddress
		}
		return "unix", path, nil
	}
	network, target, ok := strings.Cut(address, "://")
	if !ok || network != "udp" && network != "tcp" && network != "tls" {
		return "", "", errAddress
	}
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		if host, port = strings.Trim(target, "[]"), defaultPort; network == "tls" {
			port = securePort
		}
	}
	if host == "" || port == "" {
		return "", "", errAddress
	}
	return network, net.JoinHostPort(host, port), nil
}

// Open starts a sink. It does not dial yet.
func Open(k logging.Key) (logging.Sink, error) {
	network, address, err := split(k.Target)
	if err != nil {
		return nil, err
	}
	o := parseOptions(k.Options)
	if network != "tls" && !o.rfc5424 && o.framing != "octets" {
		t := &target{network: network, address: address, facility: k.Facility, tag: k.Tag}
		return logging.NewQueue(k, t), nil
	}
	w := &wire{network: network, address: address, frame: frame{
		facility: facilityCode(k.Facility), tag: k.Tag, host: hostname(), rfc5424: o.rfc5424,
		octets: network == "tls" || o.framing == "octets" || o.framing == "" && o.rfc5424,
	}}
	if network == "tls" {
		if w.tls, err = secure(address, o); err != nil {
			return nil, err
		}
	}
	return logging.NewQueue(k, w), nil
}

// secure gives the TLS settings of a sink.
func secure(address string, o options) (*tls.Config, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if o.name != "" {
		c.ServerName = o.name
	}
	if o.ca != "" {
		text, err := os.ReadFile(o.ca)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s holds no certificate", o.ca)
		}
	}
	return c, nil
}

// facilityCode gives a facility's number (RFC 5424 §6.2.1).
func facilityCode(name string) int {
	i := slices.Index(facilities, name)
	if strings.HasPrefix(name, "local") {
		return i + 4 // 12 to 15 have no name here
	}
	return max(i, 0)
}

// hostname gives the machine's name as both RFCs take it: printable ASCII, no blank.
func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "localhost"
	}
	return name
}
