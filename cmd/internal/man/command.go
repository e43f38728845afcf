package man

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Extra is what a command does not know of itself: sections by title, in Markdown.
type Extra struct{ Title, Text string }

// Command makes the page of a program with all its commands.
func Command(c *cobra.Command, version string, extra ...Extra) string {
	p := newPage(c.Name(), "1", version)
	p.section("Name")
	p.line(escape(c.Name()) + ` \- ` + escape(c.Short))
	p.section("Synopsis")
	if c.Runnable() && strings.Contains(c.Use, " ") { // not a group, which only tells of its commands
		p.line(`\fB` + escape(c.Use) + `\fR`)
	}
	for _, sub := range commands(c) {
		p.b.WriteString(".br\n")
		p.line(`\fB` + escape(synopsis(sub)) + `\fR`)
	}
	if c.Long != "" || c.Runnable() && strings.Contains(c.Use, " ") {
		p.section("Description")
		p.markdown(about(c))
		p.flags(c)
	}
	p.section("Commands")
	for _, sub := range commands(c) {
		p.subsection(synopsis(sub))
		p.markdown(about(sub))
		p.flags(sub)
		if sub.Example != "" {
			p.code(sub.Example)
		}
	}
	for _, e := range extra {
		p.section(e.Title)
		p.markdown(e.Text)
	}
	return p.String()
}

// commands gives those that do something, at any depth.
func commands(c *cobra.Command) []*cobra.Command {
	var out []*cobra.Command
	for _, sub := range c.Commands() {
		if sub.Hidden || sub.Name() == "help" || sub.IsAdditionalHelpTopicCommand() {
			continue
		}
		if sub.Runnable() && !sub.HasSubCommands() {
			out = append(out, sub)
		}
		out = append(out, commands(sub)...)
	}
	return out
}

// synopsis is a command's line, with its flags told by one word.
func synopsis(c *cobra.Command) string { return c.UseLine() }

func about(c *cobra.Command) string {
	text := c.Long
	if text == "" {
		text = c.Short
	}
	if text != "" && !strings.HasSuffix(strings.TrimSpace(text), ".") {
		text += "."
	}
	return text
}

func (p *page) flags(c *cobra.Command) {
	c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		kind, usage := pflag.UnquoteUsage(f)
		head := "--" + f.Name
		if f.Shorthand != "" {
			head = "-" + f.Shorthand + ", " + head
		}
		if kind != "" {
			head += " " + strings.ToUpper(kind)
		}
		if d := f.DefValue; d != "" && d != "false" && d != "0" && d != "0s" && d != "[]" {
			usage += " (default `" + d + "`)"
		}
		p.item(head, usage)
	})
}
