package syntax

import (
	"strings"
	"unicode/utf8"

	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// maxVetErrors is how many bad characters are reported before the file is
// taken for something that is not text at all.
const maxVetErrors = 10

// vet reports characters that no configuration means to hold, and says
// whether the file is worth reading on.
func (s *scanner) vet() bool {
	line, start := 1, 0 // of the current line
	bad := 0
	for i := 0; i < len(s.src); {
		c := s.src[i]
		size, what := 1, ""
		switch {
		case c == '\n':
			line++
			start = i + 1
		case c == '\t' || ' ' <= c && c < 0x7f:
		case c == '\r':
			if i+1 == len(s.src) || s.src[i+1] != '\n' {
				what = "a carriage return that ends no line"
			}
		case c < utf8.RuneSelf:
			what = "a control character"
			if c == 0 {
				what = "a NUL byte"
			}
		default:
			what, size = vetRune(s.src[i:])
		}
		if what != "" {
			col := 1 + utf8.RuneCountInString(s.src[start:i])
			at := diag.Pos{Offset: i, Line: line, Column: col}
			end := diag.Pos{Offset: i + size, Line: line, Column: col + 1}
			s.errorf(diag.Range{File: s.file, Start: at, End: end}, "bad-character", "%s stands here", what)
			if bad++; bad == maxVetErrors {
				s.errorf(diag.Range{File: s.file, Start: at, End: end}, "bad-character", "this does not look like a text file")
				return false
			}
		}
		i += size
	}
	return true
}

// vetRune looks at a character beyond ASCII: what is invalid, what looks like
// a blank but is none, and what makes a line read otherwise than it is.
func vetRune(text string) (what string, size int) {
	r, size := utf8.DecodeRuneInString(text)
	switch {
	case r == utf8.RuneError && size <= 1:
		return "invalid UTF-8", 1
	case r < 0xA0:
		return "a control character", size
	case r == 0xA0 || r == 0x202F || r == 0x2007:
		return "a no-break space (it is no blank, and cuts no words)", size
	case r == 0x2028 || r == 0x2029:
		return "a Unicode line separator (it ends no line)", size
	case strings.ContainsRune("\u200b\u2060\ufeff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", r):
		return "an invisible character", size
	}
	return "", size
}
