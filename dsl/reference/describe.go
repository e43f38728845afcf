// Package reference makes what people read of the vocabulary: the reference
// pages, what an editor shows about a word, and the grammar files that
// highlight it. It holds no words of its own but those of the language's frame
// (pool, import, test…), which no module declares.
package reference

import (
	"fmt"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// Usage gives the line that shows what a word takes: `redirect [MATCHER] TO
// [STATUS]`.
func Usage(w *spec.Word) string {
	var b strings.Builder
	b.WriteString(w.Name)
	if w.Matcher {
		b.WriteString(" [MATCHER]")
	}
	if len(w.Variants) > 0 {
		kinds := make([]string, 0, len(w.Variants))
		for i := range w.Variants {
			kinds = append(kinds, w.Variants[i].Name)
		}
		text := "KIND"
		if len(kinds) <= 6 {
			text = strings.Join(kinds, "|")
		}
		if w.Variant != "" {
			text = "[" + text + "]"
		}
		b.WriteString(" " + text)
	}
	for i := range w.Args {
		b.WriteString(" " + argUsage(&w.Args[i]))
	}
	return b.String()
}

func argUsage(a *spec.Arg) string {
	text := a.Name
	if a.Variadic {
		text += "…"
	}
	if a.Optional {
		text = "[" + text + "]"
	}
	return text
}

// Describe explains a word to somebody who edits: Markdown, short.
func Describe(w *spec.Word) string {
	var b strings.Builder
	fmt.Fprintf(&b, "```\n%s\n```\n", Usage(w))
	if w.Doc != "" {
		b.WriteString(sentence(w.Doc) + "\n")
	}
	if w.Long != "" {
		b.WriteString("\n" + w.Long + "\n")
	}
	for i := range w.Args {
		b.WriteString("\n- " + DescribeArg(&w.Args[i]))
	}
	if len(w.Args) > 0 {
		b.WriteString("\n")
	}
	if names := wordNames(w.Options); len(names) > 0 {
		b.WriteString("\nOptions: " + strings.Join(names, ", ") + "\n")
	}
	if names := wordNames(w.Variants); len(names) > 6 {
		b.WriteString("\nKinds: " + strings.Join(names, ", ") + "\n")
	}
	if w.Default != "" {
		fmt.Fprintf(&b, "\nDefault: `%s`\n", w.Default)
	}
	if w.Example != "" {
		fmt.Fprintf(&b, "\nFor example:\n```\n%s\n```\n", w.Example)
	}
	return b.String()
}

// DescribeArg explains an argument in one line of Markdown.
func DescribeArg(a *spec.Arg) string {
	s := "`" + a.Name + "`"
	if a.Doc != "" {
		s += ": " + a.Doc
	}
	s += " (" + valueText(a) + ")"
	if a.Default != "" {
		s += ", default `" + a.Default + "`"
	}
	return s
}

func wordNames(words []spec.Word) []string {
	out := make([]string, 0, len(words))
	for i := range words {
		out = append(out, "`"+words[i].Name+"`")
	}
	return out
}

// sentence makes a one-line description a sentence.
func sentence(doc string) string {
	doc = strings.TrimSpace(doc)
	if doc == "" || strings.HasSuffix(doc, ".") {
		return doc
	}
	return doc + "."
}
