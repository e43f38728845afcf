package lsp

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

// TestHostile asks everything about large texts that are made of one thing.
// Whatever takes more than linear time runs into the deadline of the tests.
func TestHostile(t *testing.T) {
	const size = 128 << 10
	many := func(text string) string { return strings.Repeat(text, size/len(text)) }
	site := func(body string) string { return "http://:80 {\n" + body + "\n}\n" }
	for name, src := range map[string]string{
		"one word": many("a"), "words": many("a "), "lines": many("a\n"), "comments": many("# a\n"),
		"blocks in a line": many("a { } "), "pools in a line": many("pool a { } "), "wide letters in a line": many("\U0001F600 { } "),
		"opening braces": many("a {\n"), "closing braces": many("}\n"), "joins": many("a \\\n"),
		"braces": many("{"), "placeholders": site("respond 200 " + many("{client.ip}")),
		"matchers": site(many("@a path /a\n")), "uses": site("@a path /a\n" + many("deny @a\n")),
		"parentheses": site("@a " + many("(")), "closing parentheses": site("@a path a" + many(")")),
		"conditions": site("@a path /a" + many(" and @a")),
		"pools":      many("pool a {\n}\n"), "proxies": site("proxy" + many(" a")), "imports": many("import a.lb\n"),
		"patterns": many("import *.lb\n"), "snippets": many("(s) {\n\timport s\n}\n"), "arguments": "(s) {\n\tproxy {args.0}\n}\n" + site("import s"+many(" a")),
		"options": "pool a {\n\tserver a 10.0.0.1:80" + many(" weight 1") + "\n}\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{
				opt:  Options{Vocabulary: vocabulary(), Files: disk{}, Env: func(string) (string, bool) { return "", false }},
				conn: &conn{in: bufio.NewReader(strings.NewReader("")), out: io.Discard}, state: running,
				docs: map[string]*document{}, published: map[string]string{}, trees: map[string]*syntaxFile{},
			}
			s.set(uri("Lbfile"), src)
			if err := s.publish(); err != nil {
				t.Fatal(err)
			}
			for _, offset := range []int{len(src) / 2, len(src)} {
				d := s.docs[fileName(uri("Lbfile"))]
				p := &placeParams{Position: d.position(offset), NewName: "renamed"}
				for _, ask := range []func(*document, *placeParams) (any, error){
					s.complete, s.hover, s.definition, s.references, s.highlight, s.rename, s.outline, s.format,
				} {
					got, err := ask(d, p)
					if err != nil {
						continue // a refusal is an answer
					}
					if err := s.conn.write(got); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}
