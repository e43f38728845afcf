package modules_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/logging/httplog"
	"github.com/loadstar-lb/loadstar/modules"
	"github.com/loadstar-lb/loadstar/modules/certs"
	"github.com/loadstar-lb/loadstar/modules/graph"
	"github.com/loadstar-lb/loadstar/modules/live"
	"github.com/loadstar-lb/loadstar/modules/template"
)

// build loads a text and builds its graph, without opening anything.
func build(t *testing.T, text string) diag.List {
	t.Helper()
	set := modules.Standard()
	file := filepath.Join(t.TempDir(), "Lbfile")
	env := func(string) (string, bool) { return "value", true }
	cfg, _, found := dsl.Load(file, []byte(text), dsl.Options{Vocabulary: set.Vocabulary(), Env: env})
	if found.HasErrors() {
		return found
	}
	tx := live.Begin()
	defer tx.Rollback()
	g, more := graph.Build(cfg, graph.Deps{
		Set: set, Shared: graph.NewShared(), Tx: tx, Dry: true, Log: slog.New(slog.DiscardHandler),
	})
	if g != nil {
		g.Close()
	}
	return more
}

// authority gives the files of a local authority, which are a pair and a CA.
var authority = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "loadstar-modules-")
	if err == nil {
		_, err = certs.OpenAuthority(dir, false)
	}
	if err != nil {
		panic(err)
	}
	return filepath.Join(dir, "internal", "root")
})

// place puts a directive's line where it may stand.
func place(in spec.Where, line string) string {
	if in&spec.InSite != 0 && strings.HasPrefix(line, "tls") {
		if line == "tls" {
			line = "tls internal"
		}
		return "https://:8443 {\n" + line + "\n respond ok\n}\n"
	}
	if strings.HasPrefix(line, "acme") && in&spec.InSite != 0 {
		return "example.com {\n" + line + "\n respond ok\n}\n"
	}
	const pool = "pool web {\n server one 127.0.0.1:9 cookie c1\n}\n"
	switch {
	case in&spec.InProcess != 0:
		return "{\n" + line + "\n}\nhttp://:8080 {\n respond ok\n}\n"
	case in&spec.InHTTPSite != 0:
		return "http://:8080 {\n" + line + "\n proxy web\n}\n" + pool
	case in&spec.InTCPSite != 0:
		return "tcp://:8080 {\n" + line + "\n proxy web\n}\n" + pool
	case in&spec.InTop != 0:
		return "http://:8080 {\n proxy web\n}\n" + line + "\n" + pool
	default:
		server, table := "", ""
		if strings.HasPrefix(line, "persist table sample") {
			table = "table sample type string\n"
		}
		if !strings.HasPrefix(strings.TrimSpace(line), "server") {
			server = " server one 127.0.0.1:9 cookie c1\n"
		}
		return table + "http://:8080 {\n proxy web\n}\npool web {\n" + line + "\n" + server + "}\n"
	}
}

// sample gives a value of an argument; odd ones are by the word's and the
// argument's name.
func sample(word string, a *spec.Arg) string {
	odd := map[string]string{
		"tls CERT": "internal", "tls VALUE": "TLSv1.3", "tls KEY": "", "client_auth CA": authority() + ".crt", "ca FILE": authority() + ".crt",
		"cert CERT": authority() + ".crt", "cert KEY": authority() + ".key",
		"admin ADDRESS": "off", "bind ADDRESS": "127.0.0.1", "header [+|-]NAME": "X-Sample",
		"query NAME[=VALUE]": "a=b", "redirect TO": "/there", "method METHOD": "GET", "type TYPE": "text/plain",
		"rewrite PATH": "/there", "hash TEMPLATE": "{client.ip}", "http METHOD": "GET", "http PATH": "/",
		"request [+|-]NAME": "X-Sample", "response [+|-]NAME": "X-Sample",
		"add_prefix PATH": "/api", "strip_prefix PATH": "/api", "to PATH": "/there",
		"address HOST": "127.0.0.1", "source IP": "127.0.0.1", "source ADDRESS": "127.0.0.1", "port PORT": "81",
		"exec COMMAND": "/bin/true", "sample PART": "1/10", "syslog ADDRESS": "tls://127.0.0.1:6514", "format FORMAT": "combined", "on CONDITION": "503", "key KEY": "{client.ip}",
		"otlp URL": "http://127.0.0.1:4318", "email ADDRESS": "ops@example.com", "ca URL": "letsencrypt", "exec PROGRAM": "/bin/true", "on_demand URL": "http://127.0.0.1:9/ask",
		"user HASH": bcryptHash, "stats PATH": "/sample", "auth HASH": bcryptHash,
	}
	if v, ok := odd[word+" "+a.Name]; ok {
		return v
	}
	switch a.Kind {
	case spec.Int:
		return fmt.Sprint(max(a.Min, 1))
	case spec.Duration:
		return "5s"
	case spec.Size:
		return "64KiB"
	case spec.Rate:
		return "10/s"
	case spec.Percent:
		return fmt.Sprintf("%d%%", max(a.Min, 50))
	case spec.Enum:
		return a.Words[0]
	case spec.Network:
		return "127.0.0.1"
	case spec.Address:
		return "127.0.0.1:81"
	case spec.SinkAddr:
		return "udp://127.0.0.1:514"
	case spec.File:
		return os.DevNull
	case spec.Status:
		return fmt.Sprint(503)
	case spec.Statuses:
		return "503"
	case spec.Pattern:
		return "/sample*"
	case spec.PoolRef:
		return "web"
	case spec.HeaderName:
		return "X-Sample"
	case spec.Port:
		return "81"
	case spec.String, spec.Template, spec.TableRef:
	}
	return "sample"
}

const bcryptHash = "$2y$05$yPoVPgsvXQTRAiIFcUUmJuIWFALjVGKp8l1kSAkYVXnrLFRQcHEm2"

// arguments writes the arguments of a word; all of them, or only those needed.
func arguments(word string, args []spec.Arg, all bool) string {
	out := ""
	for i := range args {
		if all || !args[i].Optional {
			out += " " + sample(word, &args[i])
		}
	}
	return out
}

// lines writes a directive in its shortest and in its longest form, once a
// variant.
func lines(w *spec.Word) map[string]string {
	out := map[string]string{}
	write := func(name, head string, args []spec.Arg, options []spec.Word) {
		short, long := w.Name+head+arguments(lastWord(w.Name+head), args, false), w.Name+head+arguments(lastWord(w.Name+head), args, true)
		body := ""
		for i := range options {
			o := &options[i]
			line := "\n  " + o.Name + arguments(o.Name, o.Args, true)
			if len(o.Variants) > 0 {
				line += " " + o.Variants[0].Name + arguments(o.Variants[0].Name, o.Variants[0].Args, true)
			}
			if len(o.Args) == 0 && len(o.Variants) == 0 && len(o.Options) > 0 {
				line += " " + o.Options[0].Name + arguments(o.Options[0].Name, o.Options[0].Args, true)
			}
			body += line
			if o.Required {
				short += " " + strings.TrimSpace(line)
			}
		}
		if w.Body != 0 && w.Body&spec.InPool == 0 {
			body += "\n  respond ok"
			short += " {\n}"
		}
		if body != "" {
			long += " {" + body + "\n}"
		}
		out[name+" shortest"], out[name+" longest"] = short, long
	}
	if len(w.Variants) == 0 {
		write(w.Name, "", w.Args, w.Options)
	}
	for i := range w.Variants {
		v := &w.Variants[i]
		write(w.Name+" "+v.Name, " "+v.Name, append(append([]spec.Arg{}, w.Args...), v.Args...), append(append([]spec.Word{}, w.Options...), v.Options...))
	}
	return out
}

func lastWord(s string) string { return s[strings.LastIndexByte(s, ' ')+1:] }

// exclusive are forms that the vocabulary allows and the module refuses.
var exclusive = map[string]string{
	"balance hash longest":      "map, consistent and maglev exclude each other",
	"balance header longest":    "the same",
	"balance source longest":    "the same",
	"balance uri longest":       "the same",
	"balance url_param longest": "the same",
	"error shortest":            "a body or a file is needed",
	"error longest":             "a body, or a file",
	"health track shortest":     "a server that is tracked is another one",
	"health track longest":      "a server that is tracked is another one",
	"persist cookie shortest":   "who makes the cookie has to be said",
	"persist cookie longest":    "only one can make the cookie",
	"header request shortest":   "only a deletion needs no value",
	"header response shortest":  "only a deletion needs no value",
}

func TestEveryDirectiveBuilds(t *testing.T) {
	for _, w := range modules.Standard().Vocabulary().Directives {
		for name, line := range lines(&w) {
			t.Run(fmt.Sprintf("%s in %d", name, w.In), func(t *testing.T) {
				if why, ok := exclusive[name]; ok {
					t.Skip(why)
				}
				text := place(w.In, line)
				if found := build(t, text); found.HasErrors() {
					t.Errorf("%v\n%s", found, text)
				}
			})
		}
	}
}

func TestEveryExampleBuilds(t *testing.T) {
	v := modules.Standard().Vocabulary()
	for _, w := range v.Directives {
		for _, u := range append([]spec.Word{w}, w.Variants...) {
			t.Run(fmt.Sprintf("%s %s in %d", w.Name, u.Name, w.In), func(t *testing.T) {
				if u.Doc == "" || strings.Contains(u.Doc, "\n") {
					t.Errorf("%q is no one-line description", u.Doc)
				}
				if u.Example == "" {
					t.Fatal("no example")
				}
				line := u.Example
				if !strings.HasPrefix(line, w.Name) {
					line = w.Name + " " + line
				}
				if found := build(t, place(w.In, examplesContext(line))); onlyUndefined(found) {
					t.Errorf("%v", found)
				}
			})
		}
	}
	for _, m := range v.Matchers {
		t.Run("@ "+m.Name, func(t *testing.T) {
			if m.Doc == "" || m.Example == "" {
				t.Fatal("no description or no example")
			}
			name := strings.Fields(m.Example)[0]
			if found := build(t, place(m.In, m.Example+"\n deny "+name)); found.HasErrors() {
				t.Errorf("%v", found)
			}
		})
	}
}

// examplesContext defines what examples name.
func examplesContext(line string) string {
	for _, f := range strings.Fields(line) {
		if strings.HasPrefix(f, "@") && !strings.HasPrefix(line, "@") {
			line = f + " client 127.0.0.0/8\n" + line
		}
	}
	return line
}

// onlyUndefined passes over names of pools that an example takes for granted.
func onlyUndefined(found diag.List) bool {
	for _, d := range found {
		if d.Severity == diag.Error && d.Rule != "undefined-name" {
			return true
		}
	}
	return false
}

// TestEveryWordStandsInAnExample keeps the examples whole: whoever adds a word
// shows it to beginners, too.
func TestEveryWordStandsInAnExample(t *testing.T) {
	files, err := filepath.Glob("../caddyfile-examples/*.lb")
	if err != nil || len(files) == 0 {
		t.Fatal("no examples", err)
	}
	shown := map[string]bool{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			line, _, _ = strings.Cut(line, "# ")
			for _, w := range strings.Fields(line) {
				shown[strings.Trim(w, "()")] = true
			}
		}
	}
	v := modules.Standard().Vocabulary()
	for _, w := range append(append([]spec.Word{}, v.Directives...), v.Matchers...) {
		if !shown[w.Name] {
			t.Errorf("%q stands in no example", w.Name)
		}
		for _, u := range w.Variants {
			if !shown[u.Name] && u.Name != "process" {
				t.Errorf("%q of %q stands in no example", u.Name, w.Name)
			}
		}
	}
}

// TestLogsFillInEveryPlaceholder: the two tables, one for exchanges and one for their
// records, have the same names.
func TestLogsFillInEveryPlaceholder(t *testing.T) {
	for _, p := range template.Placeholders() {
		if !httplog.Known(p) {
			t.Errorf("{%s} is unknown to logs", p.Name)
		}
	}
}

func BenchmarkVocabulary(b *testing.B) {
	for b.Loop() {
		modules.Standard().Vocabulary()
	}
}
