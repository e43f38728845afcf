package diag

import (
	"maps"
	"slices"
	"strings"
)

// Sources keeps the texts that diagnostics point into, by the file name that
// stands in their ranges. The zero value and nil are empty.
type Sources struct{ texts map[string]string }

// Add keeps the text of a file. A byte order mark at its start is dropped, as
// the parser drops it, so that offsets agree.
func (s *Sources) Add(file, text string) {
	if s.texts == nil {
		s.texts = map[string]string{}
	}
	s.texts[file] = strings.TrimPrefix(text, "\uFEFF")
}

// Text gives the text of a file.
func (s *Sources) Text(file string) (string, bool) {
	if s == nil {
		return "", false
	}
	text, ok := s.texts[file]
	return text, ok
}

// Files gives the names of all files, sorted.
func (s *Sources) Files() []string {
	if s == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.texts))
}

// line gives the line that a place stands on, and where in it (in bytes).
func (s *Sources) line(r Range) (line string, at int, ok bool) {
	text, ok := s.Text(r.File)
	if !ok || r.Start.Line == 0 || r.Start.Offset < 0 || r.Start.Offset > len(text) {
		return "", 0, false
	}
	start := strings.LastIndexByte(text[:r.Start.Offset], '\n') + 1
	end := len(text)
	if i := strings.IndexByte(text[r.Start.Offset:], '\n'); i >= 0 {
		end = r.Start.Offset + i
	}
	return strings.TrimSuffix(text[start:end], "\r"), r.Start.Offset - start, true
}
