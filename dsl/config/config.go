// Package config is the checked configuration as plain, comparable data: what a
// file means, with nothing of how it was written but the places. It is made by
// dsl/check and read by modules/graph, the linter and the commands.
package config

import (
	"path/filepath"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// Config is one whole configuration.
type Config struct {
	File    string
	Process []Node // directives of the global options block, in order
	Pools   []Pool // named pools in order, then inline pools in order of use
	Sites   []Site
	Tables  []Node // `table` blocks; the first argument is the name
	Tests   []Node
}

// Pool is a named group of servers. An inline pool gets a name made from its
// site and place ("example.com#2").
type Pool struct {
	Name   string
	Inline bool
	Body   []Node
	Range  diag.Range // of the name
}

// Site is one site block.
type Site struct {
	Name      string // as shown in logs: the first address as written
	TCP       bool   // a tcp:// or tls:// site: streams, not exchanges
	Addresses []Address
	Matchers  []Matcher // the named ones, in order
	Body      []Node
	Range     diag.Range // of the addresses
}

// Address is one site address, taken apart.
type Address struct {
	Text      string // as written
	Scheme    string // http, https, tcp, tls
	Host      string // "", "example.com" or "*.example.com", lower case; for tcp, the IP to bind
	Port      uint16
	Path      string // of the unix socket to listen at (unix//path); Host and Port are then empty
	TLS       bool   // TLS is terminated here
	Automatic bool   // the certificate is to be had automatically
	Range     diag.Range
}

// Matcher is a named matcher of a site.
type Matcher struct {
	Name  string
	Expr  Expr
	Used  bool
	Range diag.Range
}

// Op is the operation of an Expr.
type Op uint8

// The operations. A Test is a leaf: one matcher word with its values.
const (
	Test Op = iota
	And
	Or
	Not
)

// Expr is a boolean expression over matchers, named matchers already resolved.
type Expr struct {
	Op    Op
	Kids  []Expr // of And, Or (two or more) and Not (one)
	Word  string // of Test: host, path, client…
	Args  []Value
	Range diag.Range
}

// Node is one directive or option after checking: its values are parsed, its
// absent options that have a default are present and marked Defaulted.
type Node struct {
	Word      string
	Variant   string  // the variant taken, "" if the word has none
	When      *Expr   // the matcher, nil: always
	WhenName  string  // how the matcher was written: "@images", "/api/*"
	Args      []Value // of the variant or the word, in the order of the spec; an absent optional one has its default
	Options   []Node
	Body      []Node // block directives
	Defaulted bool   // stands here only because of its default
	Range     diag.Range
}

// Value is one checked value.
type Value struct {
	Kind  spec.Kind
	Text  string // as written, after unquoting and environment
	Int   int64  // see spec.Kind
	Per   int64  // of a Rate: nanoseconds
	Range diag.Range
}

// Path gives the file that a value of kind File names: relative to the file it
// is written in.
func (v Value) Path() string {
	if v.Text == "" || filepath.IsAbs(v.Text) || v.Range.File == "" {
		return v.Text
	}
	return filepath.Join(filepath.Dir(v.Range.File), v.Text)
}

// Option finds an option by name; nil if absent (and without default).
func (n *Node) Option(name string) *Node {
	for i := range n.Options {
		if n.Options[i].Word == name {
			return &n.Options[i]
		}
	}
	return nil
}

// Has reports whether the option is there; it serves for flags.
func (n *Node) Has(name string) bool { return n.Option(name) != nil }

// Text gives the i-th argument's text, or "".
func (n *Node) Text(i int) string {
	if i >= len(n.Args) {
		return ""
	}
	return n.Args[i].Text
}

// Texts gives the text of all arguments from i on.
func (n *Node) Texts(i int) []string {
	var out []string
	for ; i < len(n.Args); i++ {
		out = append(out, n.Args[i].Text)
	}
	return out
}

// Int gives the i-th argument's number, or 0.
func (n *Node) Int(i int) int64 {
	if i >= len(n.Args) {
		return 0
	}
	return n.Args[i].Int
}

// OptionText gives the first argument of the named option, or "".
func (n *Node) OptionText(name string) string {
	if o := n.Option(name); o != nil {
		return o.Text(0)
	}
	return ""
}

// OptionInt gives the number of the named option, or 0.
func (n *Node) OptionInt(name string) int64 {
	if o := n.Option(name); o != nil {
		return o.Int(0)
	}
	return 0
}

// OptionDuration gives the duration of the named option, or 0.
func (n *Node) OptionDuration(name string) time.Duration {
	return time.Duration(n.OptionInt(name))
}

// Find gives the directives of a body with the given word, in order.
func Find(body []Node, word string) []*Node {
	var out []*Node
	for i := range body {
		if body[i].Word == word {
			out = append(out, &body[i])
		}
	}
	return out
}

// Last gives the last directive of a body with the given word, or nil.
func Last(body []Node, word string) *Node {
	for i := len(body) - 1; i >= 0; i-- {
		if body[i].Word == word {
			return &body[i]
		}
	}
	return nil
}
