package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/loadstar-lb/loadstar"

// floors is the house: a package imports only from floors below its own. A name
// that ends in "/" stands for everything under it that has no line of its own.
var floors = map[string]int{
	// Types and bytes that know nothing else of the project.
	"dsl/diag":              0, // diagnostics
	"dsl/spec":              0, // the vocabulary's types
	"listener/flow":         0, // Conn, Exchange, Header, Record
	"listener/sock":         0, // system calls on sockets
	"listener/wire/hello":   0, // a ClientHello's server name
	"listener/wire/literal": 0, // integers and strings of field sections
	"modules/live":          0, // what outlives a configuration

	// One step up: the checked config as data, the grammar, codecs without sockets.
	"dsl/config":               1,
	"dsl/syntax":               1,
	"listener/wire/http1":      1,
	"listener/wire/http3":      1,
	"listener/wire/http2":      1,
	"listener/wire/proxyproto": 1,
	"listener/wire/starttls":   1,
	"listener/flow/flowtest":   1, // the contract of a Responder
	"modules/measure":          1, // what is counted of traffic

	// Loops over connections, lines, conditions, servers.
	"dsl/format":               2,
	"listener/http1":           2,
	"listener/multi":           2, // what HTTP/2 and HTTP/3 share
	"listener/multi/multitest": 2, // and their tests
	"listener/tunnel":          2,
	"logging":                  2,
	"modules/auth":             2, // names and passwords
	"modules/certs":            2,
	"modules/matcher":          2,
	"modules/template":         2,
	"modules/upstream":         2,

	// What decides, one package a kind.
	"dsl/check":             3,
	"dsl/lint":              3,
	"dsl/reference":         3, // pages and grammar files, of the vocabulary
	"listener":              3,
	"listener/http2":        3,
	"listener/http3":        3,
	"logging/":              3, // formats and sinks
	"modules/acme":          3, // certificates that are issued
	"modules/acme/acmetest": 1, // an authority for tests
	"modules/balancer":      3,
	"modules/census":        3, // what is running, as values
	"modules/health":        3,
	"modules/overlay":       3, // what is changed at run time
	"modules/persistence":   3,
	"modules/trace":         3, // spans, to a collector
	"modules/transport":     3,

	"dsl":             4, // Load
	"dsl/lsp":         5, // the language server
	"modules/pool":    4,
	"modules/stats":   4, // what is running, as a page, CSV and JSON
	"modules/metrics": 4, // the same, as Prometheus reads it
	"modules/handler": 5,
	"modules":         6, // the table of contents
	"modules/graph":   7, // checked config to runtime graph
	"modules/explain": 8, // what would become of a request
	"modules/runtime": 8, // apply, drain, shutdown
	"cmd/":            9,
}

// never is what no floor number says: who may not know whom at all.
var never = []struct{ from, to, why string }{
	{"dsl", "listener", "the language is text and data; it must be usable without a socket"},
	{"dsl", "logging", "the language is text and data"},
	{"dsl", "modules", "modules declare their words to the language, not the other way round"},
	{"listener", "dsl", "sockets and codecs do not read configurations"},
	{"listener", "logging", "a codec fills in a Record; who writes it down is not its business"},
	{"listener", "modules", "codecs call flow.Server; what is behind it is not their business"},
	{"logging", "modules", "a Record says all that a line needs"},
	{"dsl", "cmd", "the product does not import its tools"},
	{"listener", "cmd", "the product does not import its tools"},
	{"logging", "cmd", "the product does not import its tools"},
	{"modules", "cmd", "the product does not import its tools"},
}

// confined is which packages may import something from outside. What has no
// line is a new dependency: think first, then add it here.
var confined = map[string][]string{
	"github.com/alecthomas/participle/v2": {"dsl/syntax"},
	"github.com/caddyserver/certmagic":    {"modules/acme"},
	"github.com/libdns/libdns":            {"modules/acme"},
	"github.com/mholt/acmez/v3":           {"modules/acme"},
	"go.uber.org/zap":                     {"modules/acme"},
	"github.com/letsencrypt/pebble/v2":    {"modules/acme/acmetest"},
	"github.com/miekg/dns":                {"modules/acme/acmetest"},
	"github.com/hashicorp/go-syslog":      {"logging/syslog"},
	"github.com/quic-go/quic-go":          {"listener/http3", "modules/transport", "cmd/lbbench"}, // the bench's client
	"github.com/prometheus":               {"modules/metrics"},
	"go.opentelemetry.io":                 {"modules/trace"},
	"github.com/pires/go-proxyproto":      {"listener/wire/proxyproto"},
	"github.com/spf13/cobra":              {"cmd/"},
	"github.com/spf13/pflag":              {"cmd/"},
	"github.com/rogpeppe/go-internal":     {"cmd/"},
	"golang.org/x/net":                    {"listener/http3", "listener/wire/http2", "listener/wire/literal", "modules/health", "cmd/lbbench"},
	"golang.org/x/crypto":                 {"modules/auth", "modules/certs"},
	"golang.org/x/term":                   {"cmd/"},
	"golang.org/x/sys":                    {"listener/", "logging/", "modules/transport", "cmd/"},
	// The HTTP/1 path has its own codec; net/http is for what is not on it.
	"net/http": {"cmd/", "listener/flow/flowtest", "listener/http2", "modules/acme", "modules/acme/acmetest", "modules/certs", "modules/runtime"},
}

// pkg is what go list tells of a package. Tests may import what they like: an
// oracle from a floor above is no dependency of the product.
type pkg struct {
	ImportPath string
	Imports    []string
}

func listPackages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-e", "-json=ImportPath,Imports", module+"/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// floorOf finds a package's floor: its own line, or that of the nearest "/" above.
func floorOf(name string) (int, bool) {
	if f, ok := floors[name]; ok {
		return f, true
	}
	for dir := name; ; {
		i := strings.LastIndexByte(dir, '/')
		if i < 0 {
			return 0, false
		}
		dir = dir[:i]
		if f, ok := floors[dir+"/"]; ok {
			return f, true
		}
	}
}

// under tells whether a package is dir or in it.
func under(name, dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }

func TestFloors(t *testing.T) {
	all := listPackages(t)
	if len(all) < 10 {
		t.Fatalf("only %d packages were found", len(all))
	}
	for _, p := range all {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		floor, ok := floorOf(name)
		if !ok {
			t.Errorf("%s has no floor: decide what it may know, and give it a line in floors (floors_test.go)", name)
			continue
		}
		for _, imported := range p.Imports {
			if fault := faultOf(name, floor, imported); fault != "" {
				t.Errorf("%s imports %s: %s", name, strings.TrimPrefix(imported, module+"/"), fault)
			}
		}
	}
}

// faultOf tells what is wrong with an import, "" if nothing.
func faultOf(name string, floor int, imported string) string {
	to, ours := strings.CutPrefix(imported, module+"/")
	if !ours {
		return outsideFault(name, imported)
	}
	for _, n := range never {
		if under(name, n.from) && under(to, n.to) {
			return n.why
		}
	}
	below, ok := floorOf(to)
	switch {
	case !ok:
		return "it has no floor"
	case floor == 9 && below == 9: // programs share their own helpers
		return ""
	case below >= floor:
		return "it is on floor " + string(rune('0'+below)) + ", not below " + string(rune('0'+floor))
	}
	return ""
}

func outsideFault(name, imported string) string {
	for what, where := range confined {
		if !under(imported, what) {
			continue
		}
		for _, w := range where {
			if under(name, strings.TrimSuffix(w, "/")) && (w == name || strings.HasSuffix(w, "/")) {
				return ""
			}
		}
		return what + " is for " + strings.Join(where, ", ") + " only"
	}
	if first, _, _ := strings.Cut(imported, "/"); strings.Contains(first, ".") {
		return "a new dependency; if it is wanted, give it a line in confined (floors_test.go)"
	}
	return ""
}

// TestFloorsNotice makes sure that the test above can fail.
func TestFloorsNotice(t *testing.T) {
	for _, c := range []struct{ from, to string }{
		{"dsl/check", module + "/listener/flow"},
		{"listener/http1", module + "/listener"},
		{"listener/http1", "net/http"},
		{"listener/http1", module + "/listener/http2"},
		{"modules/pool", module + "/modules/handler"},
		{"modules/pool", module + "/cmd/internal/rig"},
		{"modules/pool", "github.com/alecthomas/participle/v2/lexer"},
		{"modules/pool", "example.com/new"},
	} {
		floor, ok := floorOf(c.from)
		if !ok || faultOf(c.from, floor, c.to) == "" {
			t.Errorf("%s may import %s", c.from, c.to)
		}
	}
	if _, ok := floorOf("modules/invented"); ok {
		t.Error("a package without a line has a floor")
	}
}
