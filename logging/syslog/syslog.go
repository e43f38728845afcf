// Package syslog is the sink `syslog [ADDRESS]`: UDP, TCP, unix sockets, or the
// local daemon, through hashicorp/go-syslog, which frames messages (RFC 3164 header
// with an RFC 3339 date for remote ones), dials, and bounds each write.
//
// What it cannot do is done here: it dials only when there is a line to send, so that a
// missing daemon neither fails nor delays a configuration; it holds lines while the
// daemon is away; and it lets go of connections that cannot be trusted any
// more (see target.Check).
//
// A UDP datagram or a line written to a TCP connection counts as delivered when the
// kernel took it: neither protocol has an answer that could tell more.
package syslog

import (
	"errors"
	"net"
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
				Doc: "udp://host:port, tcp://host:port or unix//path; the local daemon's /dev/log if absent.",
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
	_, _, err := split(k.Target)
	return k, err
}

var errAddress = errors.New("an address is udp://host:port, tcp://host:port or unix//path")

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
	if !ok || network != "udp" && network != "tcp" {
		return "", "", errAddress
	}
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		host, port = strings.Trim(target, "[]"), defaultPort
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
	t := &target{network: network, address: address, facility: k.Facility, tag: k.Tag}
	return logging.NewQueue(k, t), nil
}
