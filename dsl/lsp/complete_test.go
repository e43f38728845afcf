package lsp

import (
	"slices"
	"strings"
	"testing"
)

// rest stands behind the texts of the completion tests.
const rest = `
pool web {
	server a 10.0.0.1:80
}
pool api {
	server a 10.0.0.1:80
}
table seen {
	type ip
}
(secure) {
	deny @bad
}
`

func TestComplete(t *testing.T) {
	tests := []struct {
		name, src string
		want      string // labels that must be there
		not       string // labels that must not
	}{
		{"top", "‸\n", "pool test table import http:// tcp://", "proxy server"},
		{"directives of a site", "http://:80 {\n\t‸\n}\n", "proxy respond deny handle import maxconn", "server sni balance pool"},
		{"directives of a tcp site", "tcp://:80 {\n\t‸\n}\n", "proxy deny maxconn", "respond handle"},
		{"in front of a word", "http://:80 {\n\tresp‸ 200\n}\n", "respond", "server"},
		{"a directive that stands already", "http://:80 {\n\tmaxconn 1\n\t‸\n}\n", "proxy", "maxconn"},
		{"one that may be repeated", "pool x {\n\tserver a 10.0.0.1:1\n\t‸\n}\n", "server balance health", ""},
		{"an unclosed block", "http://:80 {\n\tproxy ‸\n", "web api", "server"},
		{"an unclosed block, directives", "http://:80 {\n\tproxy web\n\t‸\n", "respond", "server"},
		{"inside handle", "http://:80 {\n\thandle /a {\n\t\t‸\n\t}\n}\n", "respond proxy", "server"},
		{"pools", "http://:80 {\n\tproxy ‸\n}\n", "web api", "seen secure respond"},
		{"matchers first", "http://:80 {\n\t@bad path /x\n\tproxy ‸\n}\n", "@bad web", ""},
		{"matchers of the blocks around", "http://:80 {\n\t@bad path /x\n\thandle {\n\t\t@own path /y\n\t\tdeny @‸\n\t}\n}\n", "@bad @own", ""},
		{"matchers of another block", "http://:80 {\n\thandle {\n\t\t@own path /y\n\t}\n\tdeny @‸\n}\n", "", "@own"},
		{"pools behind a matcher", "http://:80 {\n\t@bad path /x\n\tproxy @bad ‸\n}\n", "web", "@bad"},
		{"variants", "pool x {\n\tbalance ‸\n}\n", "roundrobin leastconn random", "weight"},
		{"variants of an option", "pool x {\n\tserver a 10.0.0.1:80 health ‸\n}\n", "http tcp off interval", ""},
		{"options", "pool x {\n\tserver a 10.0.0.1:80 ‸\n}\n", "weight backup health", "interval"},
		{"no options before the arguments", "pool x {\n\tserver ‸\n}\n", "", "weight"},
		{"options given are not again", "pool x {\n\tserver a 10.0.0.1:80 weight 2 ‸\n}\n", "backup health", "weight"},
		{"options of a variant", "pool x {\n\thealth http GET /a ‸\n}\n", "expect interval rise", "weight"},
		{"enums", "pool x {\n\thealth http ‸\n}\n", "GET HEAD expect", ""},
		{"options in a block", "pool x {\n\thealth http {\n\t\t‸\n\t}\n}\n", "expect interval rise", "server"},
		{"options in the block of an inline pool", "http://:80 {\n\tproxy 10.0.0.1:80 {\n\t\t‸\n\t}\n}\n", "server balance", "respond"},
		{"enum in the block of a table", "table x {\n\ttype ‸\n}\n", "ip string", ""},
		{"tables", "pool x {\n\tlearn ‸\n}\n", "seen", "web"},
		{"snippets", "http://:80 {\n\timport ‸\n}\n", "secure", "web"},
		{"conditions", "http://:80 {\n\t@x ‸\n}\n", "path host client not", "sni and"},
		{"conditions of streams", "tcp://:80 {\n\t@x ‸\n}\n", "sni client", "path"},
		{"behind a condition", "http://:80 {\n\t@x path /a ‸\n}\n", "and or", "path"},
		{"behind an operator", "http://:80 {\n\t@x path /a and ‸\n}\n", "path not", "and"},
		{"enums of a condition", "http://:80 {\n\t@x scheme ‸\n}\n", "http https", ""},
		{"in parentheses", "http://:80 {\n\t@x not (path /a or ‸)\n}\n", "host", "and"},
		{"placeholders", "http://:80 {\n\tredirect /a{‸\n}\n", "{client.ip} {http.host}", "web"},
		{"placeholders in quotes", "http://:80 {\n\trespond \"hello {http.‸}\"\n}\n", "{client.ip} {http.host}", ""},
		{"placeholders of streams", "tcp://:80 {\n\tproxy a{‸\n}\n", "{client.ip}", "{http.host}"},
		{"placeholders of logs elsewhere", "http://:80 {\n\tredirect /a{‸\n}\n", "{client.ip}", "{log.status}"},
		{"placeholders of logs", "http://:80 {\n\tlog format \"{‸\"\n}\n", "{client.ip} {log.status}", ""},
		{"names of formats", "http://:80 {\n\tlog format ‸\n}\n", "json", ""},
		{"in a comment", "http://:80 {\n\t# prox‸\n}\n", "", "proxy"},
		{"behind a join", "http://:80 {\n\tproxy \\\n\t\t‸\n}\n", "web", "respond"},
		{"in a test", "test \"x\" {\n\t‸\n}\n", "request expect", "proxy"},
		{"expectations", "test \"x\" {\n\texpect ‸\n}\n", "pool status", ""},
		{"pools of a test", "test \"x\" {\n\texpect pool ‸\n}\n", "web", ""},
		{"a snippet that sites import", "(s) {\n\t‸\n}\nhttp://:80 {\n\timport s\n}\n", "respond", "server"},
		{"a snippet that pools import", "(s) {\n\t‸\n}\npool x {\n\timport s\n}\n", "server", "respond"},
		{"a snippet that a snippet imports", "(s) {\n\t‸\n}\n(u) {\n\timport s\n}\npool x {\n\timport u\n}\n", "server", "respond"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src, at := cursor(t, tt.src)
			src += rest
			s := open(t, Options{}, map[string]string{"Lbfile": src})
			var items []completionItem
			s.call("textDocument/completion", where("Lbfile", at), &items)
			var labels []string
			for _, it := range items {
				labels = append(labels, it.Label)
			}
			for _, w := range strings.Fields(tt.want) {
				if !slices.Contains(labels, w) {
					t.Errorf("%s is missing in %v", w, labels)
				}
			}
			for _, w := range strings.Fields(tt.not) {
				if slices.Contains(labels, w) {
					t.Errorf("%s is proposed: %v", w, labels)
				}
			}
			s.finish()
		})
	}
}

// TestCompleteEdit looks at what a proposal replaces, and says.
func TestCompleteEdit(t *testing.T) {
	src, at := cursor(t, "http://:80 {\n\tresp‸ond 200\n}\n")
	s := open(t, Options{}, map[string]string{"Lbfile": src})
	var items []completionItem
	s.call("textDocument/completion", where("Lbfile", at), &items)
	i := slices.IndexFunc(items, func(it completionItem) bool { return it.Label == "respond" })
	if i < 0 {
		t.Fatal("no respond")
	}
	it := items[i]
	if want := (rangeOf{position{1, 1}, position{1, 8}}); it.TextEdit.Range != want || it.TextEdit.NewText != "respond" {
		t.Errorf("edit %+v", it.TextEdit)
	}
	if it.Documentation == nil || !strings.Contains(it.Documentation.Value, "respond [MATCHER] [STATUS] [BODY]") || it.Detail != "Answers itself" {
		t.Errorf("documentation %+v, detail %q", it.Documentation, it.Detail)
	}
	s.finish()
}

func TestCompleteFiles(t *testing.T) {
	src, at := cursor(t, "import sites/‸\n")
	s := open(t, Options{Files: disk{"/etc/lb/sites/a.lb": "", "/etc/lb/sites/b.lb": ""}}, map[string]string{"Lbfile": src})
	var items []completionItem
	s.call("textDocument/completion", where("Lbfile", at), &items)
	if len(items) != 2 || items[0].Label != "sites/a.lb" || items[0].TextEdit.Range.Start.Character != 7 {
		t.Errorf("%+v", items)
	}
	s.finish()
}
