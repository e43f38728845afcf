// Package matcher holds the conditions that routes are chosen by, one file a
// word, and the boolean expressions over them.
package matcher

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Matcher decides over exchanges. It cannot fail at run time, keeps no borrowed
// bytes and does not allocate.
type Matcher interface{ Match(x *flow.Exchange) bool }

// Verdict is a ConnMatcher's answer.
type Verdict uint8

// The verdicts. NeedMore asks for more bytes of the stream's start; when none
// are to be had (the client does not speak TLS) it counts as No.
const (
	No Verdict = iota
	Yes
	NeedMore
)

// ConnMatcher decides over streams.
type ConnMatcher interface{ MatchConn(c *flow.Conn) Verdict }

// Module is one matcher word.
type Module struct {
	Spec spec.Word
	// New makes the matcher of an HTTP site, nil if the word has none there.
	// Its error may be a diag.Diagnostic with the place of one argument.
	New func(args []config.Value) (Matcher, error)
	// NewConn makes the matcher of a tcp site, nil if the word has none there.
	NewConn func(args []config.Value) (ConnMatcher, error)
}
