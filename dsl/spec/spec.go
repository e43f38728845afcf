// Package spec holds the types of the vocabulary: what words the language has,
// what they take, and what they mean. Modules declare their words as these
// values once; parser checks, suggestions, the formatter, the linter and the
// reference pages all read them. It holds types only, no words.
package spec

// Kind is the type of one value as the user writes it.
type Kind uint8

// The kinds of values. The comment gives the Go field of config.Value that
// holds the parsed form beside Text.
const (
	String     Kind = iota // any word
	Template               // a word with {placeholders} filled in per exchange
	Int                    // Int; Min and Max bound it
	Duration               // Int, nanoseconds: 250ms 2s 5m 1h
	Size                   // Int, bytes: 64KiB 10MB
	Rate                   // Int, events, and Per, nanoseconds: 100/s 20/m
	Percent                // Int, percent: 75%
	Enum                   // one of Words
	Network                // an IP network or address: 10.0.0.0/8, ::1
	Address                // host:port, [v6]:port, :port or unix//path
	SinkAddr               // udp://host:port, tcp://host:port, tls://host:port, unix//path
	File                   // a file name, relative to the configuration file
	Status                 // one HTTP status, 100–599: Int
	Statuses               // a set of statuses: 200, 200-399, 5xx
	Pattern                // a glob, or ~ and an RE2 expression
	PoolRef                // the name of a pool
	TableRef               // the name of a table
	HeaderName             // an HTTP field name (RFC 9110 §5.1)
	Port                   // 1–65535: Int
)

// Arg is one positional argument.
type Arg struct {
	Name     string // as shown in usage lines, in capitals
	Kind     Kind
	Doc      string
	Words    []string // the words of an Enum
	Min, Max int64    // bounds of Int, Percent, Duration, Size (Max 0: none)
	Optional bool
	Variadic bool   // the last argument only: one or more (zero or more if Optional)
	Default  string // used when an optional argument is absent
	// Log is of a Template that writes down what is over: one of Words, or a text
	// with placeholders, those of logs among them.
	Log bool
}

// Where is the set of places where a directive may stand.
type Where uint8

// The places.
const (
	InProcess  Where = 1 << iota // the global options block
	InHTTPSite                   // a site of HTTP exchanges, and `handle` in it
	InTCPSite                    // a site of TCP or TLS streams
	InPool                       // a pool, named or inline
	InTop                        // the top level: a block that is named by its first argument
	InSite     = InHTTPSite | InTCPSite
)

// Word is a directive, an option or a variant: one recursive shape, because an
// option may itself take arguments and options.
type Word struct {
	Name    string
	Doc     string // one line, for completion and reference
	Long    string // further paragraphs for the reference (Markdown)
	Example string // a line as a user would write it
	In      Where  // directives only

	Matcher  bool // takes a matcher as an optional first argument
	Answers  bool // always answers what its matcher lets through; directives of sites only
	Required bool // an option that must be given
	Repeat   bool // may stand more than once in its block
	Args     []Arg
	Options  []Word // each on the line or in the block
	// Variants are chosen by the first argument (`health http`, `persist
	// cookie`); a variant's Args and Options are added to the word's own.
	Variants []Word
	Variant  string // the variant taken when the first argument is absent ("" : it is required)
	// Body says what directives the block may hold beside the options
	// (`handle` holds site directives, an inline `proxy` pool directives).
	Body Where
	// Default is the value an absent option has, written as a user would
	// write its arguments ("5s"); "" means the option is then simply off.
	Default string
}

// Option finds an option of the word by name.
func (w *Word) Option(name string) *Word { return find(w.Options, name) }

// VariantNamed finds a variant of the word by name.
func (w *Word) VariantNamed(name string) *Word { return find(w.Variants, name) }

func find(words []Word, name string) *Word {
	for i := range words {
		if words[i].Name == name {
			return &words[i]
		}
	}
	return nil
}

// Placeholder is one {name} of templates. A Name that ends in ".*" takes any
// suffix, as in {http.header.*}.
type Placeholder struct {
	Name string
	Doc  string
	HTTP bool // needs an HTTP exchange; otherwise it works for TCP streams too
	Log  bool // known only when an exchange is over: for templates of logs (Arg.Log)
}

// Vocabulary is every word of the language, gathered from the modules.
type Vocabulary struct {
	Directives   []Word // by In
	Matchers     []Word // In says for which sites
	Placeholders []Placeholder
}

// Directive finds a directive that may stand at the given place.
func (v *Vocabulary) Directive(at Where, name string) *Word {
	for i := range v.Directives {
		if v.Directives[i].Name == name && v.Directives[i].In&at != 0 {
			return &v.Directives[i]
		}
	}
	return nil
}

// Matcher finds a matcher by name, for whatever protocol.
func (v *Vocabulary) Matcher(name string) *Word { return find(v.Matchers, name) }
