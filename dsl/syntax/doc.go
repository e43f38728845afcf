// Package syntax reads the Lbfile language into a lossless tree: every word
// with its place and its quoting, every comment where it stood. It knows the
// lexis and the braces, no words: what a directive means is dsl/check's affair.
//
// The work is shared by three parts. A hand-written scanner cuts words and
// settles the braces, so that the tokens it yields are always balanced, however
// broken the file is; all diagnostics come from it, several a file. A
// participle grammar (grammar.go) then makes the tree of lines and blocks, and
// build.go hangs the comments on it by their offsets. Everything is linear in
// the size of the file, and bounded: see the Max constants.
package syntax

import "github.com/loadstar-lb/loadstar/dsl/diag"

// The bounds of one file. What exceeds them gets a diagnostic.
const (
	MaxSize   = 16 << 20  // bytes
	MaxDepth  = 64        // blocks in blocks
	MaxTokens = 1_000_000 // words, braces and line ends together
	maxErrors = 200       // diagnostics kept of one file
)

// File is one parsed file.
type File struct {
	Name       string
	Src        string // the text, without a byte order mark at its start
	Statements []*Statement
	Tail       []Comment // comments after the last statement
	// Broken says that a block, a quote or a heredoc was never closed (or the
	// file is too large): what follows it is not where its author put it, so
	// that only the syntax errors are worth showing.
	Broken bool
}

// Statement is one logical line and the block that it opens, if any.
type Statement struct {
	Words    []Word // empty for a bare block
	Block    *Block // nil without one
	Range    diag.Range
	Leading  []Comment // on lines of their own, above
	Trailing *Comment  // behind the last word, or behind the closing brace
	Blank    bool      // a blank line stands above it (below Leading)
}

// Block is what stands between braces.
type Block struct {
	Open, Close diag.Range // the braces
	Comment     *Comment   // behind the opening brace
	Statements  []*Statement
	Tail        []Comment // above the closing brace
}

// Comment is one comment.
type Comment struct {
	Text  string // from the # on, without blanks at the end
	Range diag.Range
	Blank bool // a blank line stands above it
}

// Quote is how a word is written.
type Quote uint8

// The ways to write a word.
const (
	Plain     Quote = iota
	Double          // "…" with escapes
	Backquote       // `…`
	Heredoc         // <<NAME … NAME
)

// Word is one word.
type Word struct {
	Text  string // what it means, unquoted
	Raw   string // what was written
	Quote Quote
	Range diag.Range
}

// Is reports whether the word is the given one, written plainly: quoting a
// word takes its meaning from the language ("and" is a value, and is not).
func (w Word) Is(text string) bool { return w.Quote == Plain && w.Text == text }
