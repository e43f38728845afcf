package explain

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Text writes the outline for people.
func (o *Outline) Text(w io.Writer) error {
	var b strings.Builder
	for _, l := range o.Listeners {
		b.WriteString("listener " + l.Address)
		if l.TLS {
			b.WriteString(" (TLS)")
		}
		b.WriteString("\n")
		for _, s := range l.Sites {
			b.WriteString("    site " + clean(s) + "\n")
		}
	}
	for _, s := range o.Sites {
		fmt.Fprintf(&b, "\nsite %s  (%s)\n", clean(strings.Join(s.Addresses, ", ")), clean(s.At))
		for _, r := range s.Routes {
			b.WriteString(strings.Repeat("    ", 1+r.Depth) + clean(r.Text))
			if r.Pool != "" && !strings.HasSuffix(r.Text, r.Pool) {
				b.WriteString("  -> " + clean(r.Pool))
			}
			b.WriteString("\n")
		}
	}
	for _, p := range o.Pools {
		fmt.Fprintf(&b, "\npool %s  (%s)\n", clean(p.Name), clean(p.facts()))
		for _, s := range p.Servers {
			b.WriteString("    " + clean(s.text()) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// DOT writes the outline in the language of Graphviz.
func (o *Outline) DOT(w io.Writer) error {
	var b strings.Builder
	b.WriteString("digraph loadstar {\n\trankdir=LR;\n\tnode [shape=box, fontname=\"monospace\", fontsize=10];\n\tedge [color=\"#888888\"];\n")
	for _, l := range o.Listeners {
		fmt.Fprintf(&b, "\t%s [label=%s, style=rounded];\n", quote("listener "+l.Address), quote(l.Address))
		for _, s := range l.Sites {
			fmt.Fprintf(&b, "\t%s -> %s;\n", quote("listener "+l.Address), quote("site "+s))
		}
	}
	for _, s := range o.Sites {
		label := strings.Join(s.Addresses, ", ")
		for _, r := range s.Routes {
			if r.Pool == "" {
				label += "\n" + strings.Repeat("  ", r.Depth) + r.Text
			}
		}
		fmt.Fprintf(&b, "\t%s [label=%s];\n", quote("site "+s.Name), quote(label))
		for _, r := range s.Routes {
			if r.Pool != "" {
				fmt.Fprintf(&b, "\t%s -> %s [label=%s, fontsize=8];\n", quote("site "+s.Name), quote("pool "+r.Pool), quote(condition(r.Text)))
			}
		}
	}
	for _, p := range o.Pools {
		label := p.Name + "\n" + p.facts()
		for _, s := range p.Servers {
			label += "\n" + s.text()
		}
		fmt.Fprintf(&b, "\t%s [label=%s, style=filled, fillcolor=\"#eef4ff\"];\n", quote("pool "+p.Name), quote(label))
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// condition gives the matcher of a `proxy` line, "" without.
func condition(line string) string {
	words := strings.Fields(line)
	if len(words) > 2 && (words[1][0] == '@' || words[1][0] == '/') {
		return words[1]
	}
	return ""
}

// quote gives a DOT string: newlines begin a line that is flush left.
func quote(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)
	if strings.Contains(s, "\n") {
		s = strings.ReplaceAll(s, "\n", `\l`) + `\l`
	}
	return `"` + s + `"`
}
