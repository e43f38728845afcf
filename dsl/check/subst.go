package check

import (
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// substitute appends a word with its {$NAME} and {args.N} filled in. Only a
// word that is {args.*} and nothing else can become several; a variable of the
// environment always stays inside its word, whatever it holds. Nothing is
// filled in within `…`.
func (c *checker) substitute(to []word, w *syntax.Word, o *origin) []word {
	plain := w.Quote == syntax.Plain
	out := word{text: w.Text, plain: plain, bare: plain && w.Text[0] != '{', place: place{w.Range, o}}
	if w.Quote == syntax.Backquote || strings.IndexByte(w.Text, '{') < 0 {
		return append(to, out)
	}
	if w.Quote == syntax.Plain && o.snippet != nil {
		if w.Text == "{args.*}" {
			if !c.fill(out.place, len(o.args), 0) {
				return to
			}
			return append(to, o.args...)
		}
		if arg := wholeArg(w.Text); arg != "" {
			if a, ok := c.argument(out, arg); ok {
				return append(to, a)
			}
			out.bad = true
			return append(to, out)
		}
	}
	var b strings.Builder
	rest, changed := w.Text, false
	for {
		i := strings.IndexByte(rest, '{')
		if i < 0 {
			break
		}
		b.WriteString(rest[:i])
		rest = rest[i:]
		n, value, env := c.brace(rest, &out)
		if n == 0 {
			b.WriteByte('{')
			rest = rest[1:]
			continue
		}
		if !c.fill(out.place, 0, len(value)) {
			return append(to, out)
		}
		b.WriteString(value)
		rest = rest[n:]
		changed = true
		out.plain = out.plain && !env
	}
	if changed {
		b.WriteString(rest)
		out.text = b.String()
	}
	return append(to, out)
}

// wholeArg gives N of a word that is {args.N} and nothing else.
func wholeArg(text string) string {
	n, ok := strings.CutPrefix(text, "{args.")
	if !ok || n == "" || strings.IndexByte(n, '}') != len(n)-1 {
		return ""
	}
	return n[:len(n)-1]
}

// brace looks at a text that begins with {: how many bytes of it are to be
// replaced (0: none), and by what.
func (c *checker) brace(text string, w *word) (n int, value string, env bool) {
	switch {
	case strings.HasPrefix(text, "{$"):
		n, value = c.variable(text, w)
		return n, value, true
	case strings.HasPrefix(text, "{args."):
		end := 1 + strings.IndexAny(text[1:], "{}") // not farther, or many of them would take long
		if end == 0 || text[end] == '{' {
			return 0, "", false
		}
		a, ok := c.argument(*w, text[len("{args."):end])
		w.bad = w.bad || !ok
		return end + 1, a.text, false
	default:
		return 0, "", false
	}
}

// argument gives the N-th argument of the snippet that a word stands in.
func (c *checker) argument(w word, n string) (word, bool) {
	o := w.from
	if o.snippet == nil {
		c.errorf(w.place, "undefined-argument", "{args.%s} has a meaning in snippets only", n)
		return w, false
	}
	if n == "*" {
		c.errorf(w.place, "undefined-argument", "{args.*} must be a word of its own")
		return w, false
	}
	i, err := strconv.Atoi(n)
	if err != nil || i < 0 {
		c.errorf(w.place, "undefined-argument", "{args.%s} names no argument: write {args.0}, {args.1}… or {args.*}", n)
		return w, false
	}
	if i >= len(o.args) {
		c.errorf(w.place, "undefined-argument", "%s is given %s here, so there is no {args.%d}", o.what, count(len(o.args), "argument"), i)
		return w, false
	}
	return o.args[i], true
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// variable reads {$NAME} or {$NAME:default} at the start of a text.
func (c *checker) variable(text string, w *word) (n int, value string) {
	end := closing(text)
	if end < 0 {
		w.bad = true
		d := c.errorf(w.place, "bad-variable", "`{$` is not closed")
		d.Help = []string{"a variable is written {$NAME} or {$NAME:default}; a default with blanks needs quotes around the whole word"}
		return len(text), ""
	}
	name, fallback, has := strings.Cut(text[2:end], ":")
	if !isName(name) {
		w.bad = true
		d := c.errorf(w.place, "bad-variable", "%q is no name of a variable", name)
		d.Help = []string{"a variable is written {$NAME} or {$NAME:default}"}
		return end + 1, ""
	}
	if c.opt.Env != nil {
		if v, ok := c.opt.Env(name); ok && (v != "" || !has) {
			return end + 1, v
		}
	}
	if !has {
		w.bad = true
		d := c.errorf(w.place, "undefined-variable", "the environment has no %s", name)
		d.Help = []string{"a default can be given: {$" + name + ":default}"}
	}
	return end + 1, fallback
}

// closing gives the index of the brace that closes the one at the start.
func closing(text string) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// isName reports whether a text is the name of a variable (POSIX 1003.1 §8.1).
func isName(text string) bool {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return text != ""
}

// defaultWords cuts the text of a default into words.
func defaultWords(text string, at place) []word {
	f, _ := syntax.Parse("", []byte(text))
	var out []word
	for _, s := range f.Statements {
		for i := range s.Words {
			w := &s.Words[i]
			out = append(out, word{text: w.Text, plain: w.Quote == syntax.Plain, place: at})
		}
	}
	return out
}
