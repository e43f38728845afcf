// Package check turns the syntax tree into the checked configuration: it reads
// imports, fills in the environment and the arguments of snippets, and holds
// every word against the vocabulary. It knows the structure of the language
// (sites, pools, matchers, snippets), but no directive: what those take is the
// vocabulary's affair.
//
// A file is read from top to bottom in one pass; what may be named before it
// is defined (pools, snippets, matchers of one block) is resolved at the end.
// Checking goes on after an error, so that one run shows them all.
//
//   - expand.go: statements and words as they stand after import and
//     substitution (subst.go, imports.go).
//   - top.go: what stands at the top level; site.go, address.go and pool.go
//     the blocks there.
//   - node.go: one directive or option; args.go its positional arguments,
//     value.go one value, matcher.go conditions.
package check

import (
	"fmt"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// The bounds of one check.
const (
	maxStatements  = 1_000_000 // after the expansion of imports
	maxFilled      = 64 << 20  // bytes that the environment and arguments fill in, and 64 for each word
	maxImportDepth = 32        // imports in imports
	maxConditions  = 1_000_000 // of all matchers, wherever they are named
	maxFindings    = 1000      // diagnostics kept
	maxGuesses     = 100       // of which what is meant is sought among the names of the file
)

// Options are what checking needs from outside.
type Options struct {
	Vocabulary *spec.Vocabulary
	// Env looks up a variable of the environment; nil knows none.
	Env func(name string) (string, bool)
	// Files reads imported files; nil refuses imports.
	Files Files
}

// Check checks a parsed file and all that it imports. The configuration holds
// whatever could be understood; it is fit for use only if the list has no
// errors. The syntax errors of the file itself are not in the list, those of
// imported files are. The order is that of finding them.
func Check(file *syntax.File, opt Options) (*config.Config, diag.List) {
	c := &checker{
		opt:         opt,
		config:      &config.Config{File: file.Name},
		inlineCount: map[string]int{},
		pools:       map[string]*poolEntry{},
		tables:      map[string]*poolEntry{},
		snippets:    map[string]*snippet{},
		parsed:      map[string]*syntax.File{},
		defaults:    map[*spec.Word]config.Node{},
	}
	c.top(file)
	return c.config, c.errs
}

type checker struct {
	opt    Options
	config *config.Config
	errs   diag.List

	statements int  // expanded so far
	filled     int  // by substitution so far
	nested     int  // matchers that name each other, right now
	conditions int  // in the matchers that were named so far
	exhausted  bool // one of the bounds is passed: nothing more is expanded
	broken     bool
	wordSlab   []word         // see takeWords
	valueSlab  []config.Value // see takeValues

	pools       map[string]*poolEntry
	poolNames   []string // in the order of the file
	poolUses    []word
	tables      map[string]*poolEntry
	tableNames  []string // in the order of the file
	tableUses   []word
	inline      []config.Pool
	inlineCount map[string]int // by the site's name
	matchers    []*matcher     // of all sites
	snippets    map[string]*snippet
	snipNames   []string
	parsed      map[string]*syntax.File
	defaults    map[*spec.Word]config.Node
	optionSeen  bool // the block of global options has come
}

// errorf reports an error at a word or a statement; the chain of imports that
// led there is added as labels.
func (c *checker) errorf(at place, rule, format string, args ...any) *diag.Diagnostic {
	if len(c.errs) >= maxFindings {
		return &diag.Diagnostic{}
	}
	d := c.errs.Add(at.rng, rule, "%s", fmt.Sprintf(format, args...))
	d.Labels = at.from.labels(nil)
	return d
}

// warnf is errorf for what does not refuse the configuration.
func (c *checker) warnf(at place, rule, format string, args ...any) {
	c.errorf(at, rule, format, args...).Severity = diag.Warning
}

// guess adds the help line "did you mean …?" if one of the names that the file
// defines is near. There may be many of them, and of wrong ones, too: only for
// the first errors all are looked at.
func (c *checker) guess(d *diag.Diagnostic, got string, names []string) bool {
	return len(c.errs) <= maxGuesses && suggest(d, got, names)
}

// suggest adds the help line "did you mean …?" if one of the words is near.
func suggest(d *diag.Diagnostic, got string, words []string) bool {
	near := nearest(got, words)
	if near == "" {
		return false
	}
	d.Help = append(d.Help, fmt.Sprintf("did you mean %q?", near))
	return true
}
