// Package diag holds diagnostics: values with a place, a reason and help, as
// compilers give them. It knows nothing of the language; every other package
// that can refuse input speaks through it.
package diag

import (
	"cmp"
	"fmt"
	"slices"
)

// Severity orders diagnostics: an Error refuses the input, a Warning is
// printed and logged, Info only informs.
type Severity uint8

// The severities, from the gravest.
const (
	Error Severity = iota
	Warning
	Info
)

// String gives the word that is printed before the message.
func (s Severity) String() string {
	switch s {
	case Error:
		return "error"
	case Warning:
		return "warning"
	default:
		return "info"
	}
}

// Pos is a place in a file. Line and Column count from 1; Column counts
// characters (runes), Offset counts bytes from 0.
type Pos struct {
	Offset int `json:"offset"`
	Line   int `json:"line"`
	Column int `json:"column"`
}

// Range is a stretch of one file, End exclusive. The zero Range means "no
// place", as for a file that could not be read.
type Range struct {
	File  string `json:"file,omitempty"`
	Start Pos    `json:"start"`
	End   Pos    `json:"end"`
}

// IsZero reports whether the range names no place.
func (r Range) IsZero() bool { return r == Range{} }

// String gives FILE:LINE:COLUMN, which editors and grep understand.
func (r Range) String() string {
	switch {
	case r.Start.Line == 0:
		return r.File
	case r.File == "":
		return fmt.Sprintf("%d:%d", r.Start.Line, r.Start.Column)
	default:
		return fmt.Sprintf("%s:%d:%d", r.File, r.Start.Line, r.Start.Column)
	}
}

// Label points at another place that explains a diagnostic, such as "first
// defined here", or a step of the chain of snippets and imports.
type Label struct {
	Range   Range  `json:"range"`
	Message string `json:"message"`
}

// Edit replaces the text of Range; a Fix is a set of edits that mends a finding
// with certainty.
type Edit struct {
	Range Range  `json:"range"`
	Text  string `json:"text"`
}

// Fix is a named, certain mending of a diagnostic.
type Fix struct {
	Title string `json:"title"`
	Edits []Edit `json:"edits"`
}

// Diagnostic is one finding.
type Diagnostic struct {
	Severity Severity `json:"severity"`
	Range    Range    `json:"range"`
	Message  string   `json:"message"`        // one line, without a final period
	Rule     string   `json:"rule"`           // stable name, such as "unknown-option"
	Help     []string `json:"help,omitempty"` // what to write instead, each one line
	Labels   []Label  `json:"labels,omitempty"`
	Fixes    []Fix    `json:"fixes,omitempty"`
}

// Error gives the one-line form, so that a Diagnostic can be an error.
func (d Diagnostic) Error() string {
	s := d.Severity.String() + ": " + d.Message
	if d.Rule != "" {
		s += "  [" + d.Rule + "]"
	}
	if d.Range.String() == "" {
		return s
	}
	return d.Range.String() + ": " + s
}

// List collects the diagnostics of one run.
type List []Diagnostic

// Add appends an error, built with fmt.Sprintf, and returns it for further
// dressing (help, labels); the pointer is good until the next Add.
func (l *List) Add(r Range, rule, format string, args ...any) *Diagnostic {
	*l = append(*l, Diagnostic{Range: r, Rule: rule, Message: fmt.Sprintf(format, args...)})
	return &(*l)[len(*l)-1]
}

// HasErrors reports whether one of the diagnostics refuses the input.
func (l List) HasErrors() bool {
	return slices.ContainsFunc(l, func(d Diagnostic) bool { return d.Severity == Error })
}

// Sort orders by file, then place, then severity; it is stable.
func (l List) Sort() {
	slices.SortStableFunc(l, func(a, b Diagnostic) int {
		return cmp.Or(
			cmp.Compare(a.Range.File, b.Range.File),
			cmp.Compare(a.Range.Start.Offset, b.Range.Start.Offset),
			cmp.Compare(a.Severity, b.Severity),
		)
	})
}

// Error makes a List an error: the first line of each, joined by newlines.
func (l List) Error() string {
	s := ""
	for i, d := range l {
		if i > 0 {
			s += "\n"
		}
		s += d.Error()
	}
	return s
}

// Err returns the list as an error if it holds one that refuses, else nil.
func (l List) Err() error {
	if l.HasErrors() {
		return l
	}
	return nil
}
