// Package history remembers the configurations that were in force, with the text
// of every file of them, so that each can be shown, compared and put in force
// again; and it takes a configuration back that nobody confirms in time.
package history

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// What is kept: that many configurations, and that many bytes of text. The one
// in force and the one before it are always kept.
const (
	MaxEntries = 50
	MaxBytes   = 64 << 20
)

// File is one text of a configuration.
type File struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Entry is a configuration that was in force.
type Entry struct {
	Number     uint64    `json:"number"` // counts up over the life of the process
	Generation uint64    `json:"generation"`
	Time       time.Time `json:"time"`
	Hash       string    `json:"hash"` // of all its texts, SHA-256, hexadecimal
	Name       string    `json:"name"` // of its first file
	By         string    `json:"by"`   // who or what had it loaded
	Bytes      int       `json:"bytes"`
	// Sent tells that it is not what the process's own file had: its text was sent,
	// or is a former one.
	Sent bool `json:"sent,omitempty"`
	// BackFrom is the number of the configuration that nobody has confirmed, for
	// which this one came back; 0: it did not come so.
	BackFrom uint64 `json:"back_from,omitempty"`
	// Files are the texts, the configuration's own first.
	Files []File `json:"-"`
}

// NewEntry makes the Entry of a configuration that was read.
func NewEntry(name, by string, sources *diag.Sources) Entry {
	e := Entry{Name: name, By: by}
	for _, f := range sources.Files() {
		text, _ := sources.Text(f)
		at := len(e.Files)
		if f == name {
			at = 0
		}
		e.Files = slices.Insert(e.Files, at, File{f, text})
		e.Bytes += len(text)
	}
	e.Hash = hashOf(e.Files)
	return e
}

func hashOf(files []File) string {
	h := sha256.New()
	for _, f := range files {
		h.Write([]byte(f.Name + "\x00" + f.Text + "\x00"))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Text gives the text of the configuration's own file.
func (e *Entry) Text() string {
	if len(e.Files) == 0 {
		return ""
	}
	return e.Files[0].Text
}

// Log is the history of one process. It may be used from any goroutine.
type Log struct {
	mu      sync.Mutex
	entries []Entry // oldest first; the last is in force
	count   uint64
	bytes   int
}

// Add notes that a configuration has come into force, and gives its number. One
// that is the same as the one in force takes its place: reading a file again that
// nobody changed is no news.
func (l *Log) Add(e Entry) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.entries); n > 0 && l.entries[n-1].Hash == e.Hash {
		l.entries[n-1].Generation, l.entries[n-1].Sent = e.Generation, e.Sent
		return l.entries[n-1].Number
	}
	l.count++
	e.Number = l.count
	l.entries = append(l.entries, e)
	l.bytes += e.Bytes
	l.trim()
	return e.Number
}

// trim forgets what is too much. It needs mu.
func (l *Log) trim() {
	for len(l.entries) > 2 && (len(l.entries) > MaxEntries || l.bytes > MaxBytes) {
		l.bytes -= l.entries[0].Bytes
		l.entries = slices.Delete(l.entries, 0, 1)
	}
}

// List gives what is kept, the newest first.
func (l *Log) List() []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := slices.Clone(l.entries)
	slices.Reverse(out)
	return out
}

// Get gives the configuration of a number.
func (l *Log) Get(number uint64) (Entry, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		if e.Number == number {
			return e, true
		}
	}
	return Entry{}, false
}

// Current gives the configuration in force; ok is false before the first.
func (l *Log) Current() (e Entry, ok bool) { return l.last(1) }

// Previous gives the one that was in force before it.
func (l *Log) Previous() (e Entry, ok bool) { return l.last(2) }

func (l *Log) last(back int) (Entry, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) < back {
		return Entry{}, false
	}
	return l.entries[len(l.entries)-back], true
}

// Diff compares two configurations, file by file, in the unified form; "" if they
// are equal.
func Diff(from, to *Entry) string {
	texts := func(e *Entry) map[string]string {
		m := make(map[string]string, len(e.Files))
		for _, f := range e.Files {
			m[f.Name] = f.Text
		}
		return m
	}
	before, after := texts(from), texts(to)
	names := []string{}
	for _, e := range []*Entry{to, from} {
		for _, f := range e.Files {
			if !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	var out strings.Builder
	for _, n := range names {
		out.Write(diff.Diff(n, []byte(before[n]), n, []byte(after[n])))
	}
	return out.String()
}

// FS gives the files as they were, for reading the configuration again; see
// dsl.Files.
func (e *Entry) FS() FS { return FS{e.Files} }

// FS is the files of an Entry.
type FS struct{ files []File }

// ReadFile gives the text of a file; one that was not read then is not there.
func (f FS) ReadFile(name string) ([]byte, error) {
	for _, x := range f.files {
		if x.Name == name {
			return []byte(x.Text), nil
		}
	}
	return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("was not part of that configuration")}
}

// Glob gives the files that match.
func (f FS) Glob(pattern string) ([]string, error) {
	var out []string
	for _, x := range f.files {
		ok, err := filepath.Match(pattern, x.Name)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, x.Name)
		}
	}
	slices.Sort(out)
	return out, nil
}
