package lint

import (
	"net"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var adminExposed = &Rule{Name: "admin-exposed", Severity: diag.Error, check: func(p *Pass) {
	n := config.Last(p.Config.Process, "admin")
	if n == nil || len(n.Args) == 0 || n.Text(0) == "off" || strings.HasPrefix(n.Text(0), "unix/") {
		return
	}
	host, _, err := net.SplitHostPort(n.Text(0))
	if err != nil || loopback(host) {
		return
	}
	d := p.report(n.Args[0].Range, "whoever reaches %s could replace the configuration: the admin endpoint knows no passwords", n.Text(0))
	help(d, "write a unix socket or a loopback address, and tunnel to it: ssh -L")
}}
