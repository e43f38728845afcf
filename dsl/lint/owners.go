package lint

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// owners names the rules that other packages report, by package and severity.
var owners = []struct {
	pkg      string
	severity diag.Severity
	here     bool // speaks of files and sockets of this machine
	rules    string
}{
	{"dsl/syntax", diag.Error, false, `bad-character bad-escape syntax unclosed-block unclosed-heredoc unclosed-quote file-too-large`},
	{"dsl/check", diag.Error, false, `bad-address bad-name bad-value bad-variable bare-number duplicate-matcher duplicate-option duplicate-pool
		duplicate-server-name duplicate-site duplicate-snippet duplicate-table http-in-tcp-site import-failed
		import-loop matcher-loop misplaced-block misplaced-directive misplaced-matcher missing-argument missing-block
		missing-operator missing-option mixed-site open-proxy out-of-range port-conflict too-deep too-large
		undefined-argument undefined-name undefined-variable unexpected-argument unexpected-block unknown-directive
		unknown-matcher unknown-option unknown-placeholder`},
	{"dsl/check", diag.Warning, false, `host-bits import-empty unused-argument unused-name`},
	{"dsl", diag.Error, false, `empty-file unreadable-file`},
	{"modules/matcher", diag.Error, false, `bad-matcher`},
	{"modules/balancer", diag.Error, false, `bad-balance`},
	{"modules/handler", diag.Error, false, `bad-hash cookie-persistence-in-tcp plaintext-password`},
	{"modules/health", diag.Error, false, `bad-health`},
	{"modules/persistence", diag.Error, false, `bad-persist`},
	{"modules/persistence", diag.Warning, false, `cookie-without-values cookie-shared`},
	{"modules/pool", diag.Error, false, `minconn-without-maxconn track-loop`},
	{"modules/pool", diag.Error, false, `track-unprobed`},
	{"modules/pool", diag.Warning, false, `cookie-unused first-without-maxconn no-usable-server`},
	{"logging", diag.Error, false, `no-sink unknown-sink`},
	{"modules/graph", diag.Warning, false, `trace-without-collector`},
	{"logging", diag.Error, true, `sink-unavailable`},
	{"modules/graph", diag.Error, false, `automatic-name-not-public no-certificate proxy-protocol-conflict starttls-conflict tls-conflict tls-in-clear-site wildcard-without-dns-challenge`},
	{"modules/graph", diag.Warning, false, `challenge-port-not-listened`},
	{"modules/acme", diag.Error, false, `bad-acme`},
	{"modules/certs", diag.Error, true, `bad-certificate bad-crl bad-key bad-pem certificate-expired client-auth-without-ca key-mismatch
		no-certificates state-directory`},
	{"modules/certs", diag.Warning, true, `certificate-expiring certificate-not-yet-valid crl-expired incomplete-chain key-readable-by-all
		name-not-covered`},
	{"modules/runtime", diag.Error, true, `cannot-listen`},
	{"cmd/loadstar", diag.Error, true, `bad-chroot not-root unknown-group unknown-user`},
	{"cmd/loadstar", diag.Warning, true, `out-of-reach start-only`},
	{"modules/transport", diag.Error, false, `protocol-without-tls h2c-with-tls server-without-name`},
	{"modules/transport", diag.Warning, false, `verify-off`},
	{"modules/certs", diag.Warning, false, `ciphers-unused early-data-unused`},
}

func owned() []*Rule {
	var out []*Rule
	for _, o := range owners {
		for _, name := range strings.Fields(o.rules) {
			out = append(out, &Rule{Name: name, Severity: o.severity, Owner: o.pkg, Here: o.here})
		}
	}
	return out
}
