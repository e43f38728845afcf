package top

import "unicode/utf8"

// Key is one key: a printable rune, or a name.
type Key struct {
	Name string // up, down, pgup, pgdn, home, end, enter, esc, backspace, ctrl-c; "": Rune
	Rune rune
}

// sequences are what terminals send for keys behind an escape (xterm's control
// sequences, and VT220's for pages).
var sequences = map[string]string{
	"[A": "up", "OA": "up", "[B": "down", "OB": "down", "[5~": "pgup", "[6~": "pgdn",
	"[H": "home", "OH": "home", "[1~": "home", "[F": "end", "OF": "end", "[4~": "end",
}

// Keys takes bytes apart that a terminal has sent. Sequences that mean nothing
// here, and controls, are passed over.
func Keys(p []byte) (out []Key) {
	for len(p) > 0 {
		switch c := p[0]; {
		case c == 0x1b:
			n := sequence(p[1:])
			if n == 0 {
				out = append(out, Key{Name: "esc"})
			} else if name := sequences[string(p[1:1+n])]; name != "" {
				out = append(out, Key{Name: name})
			}
			p = p[1+n:]
			continue
		case c == '\r', c == '\n':
			out = append(out, Key{Name: "enter"})
		case c == 0x7f, c == 8:
			out = append(out, Key{Name: "backspace"})
		case c == 3:
			out = append(out, Key{Name: "ctrl-c"})
		case c < ' ':
		default:
			r, n := utf8.DecodeRune(p)
			if r != utf8.RuneError && (r < 0x7f || r >= 0xa0) {
				out = append(out, Key{Rune: r})
			}
			p = p[n:]
			continue
		}
		p = p[1:]
	}
	return out
}

// sequence gives the length of what follows an escape and belongs to it: SS3 and
// one byte, or CSI up to its final byte (ECMA-48 §5.4); 0: the escape stood alone.
func sequence(p []byte) int {
	switch {
	case len(p) >= 2 && p[0] == 'O':
		return 2
	case len(p) >= 2 && p[0] == '[':
		for i := 1; i < len(p); i++ {
			if p[i] >= 0x40 && p[i] <= 0x7e {
				return i + 1
			}
		}
		return len(p)
	}
	return 0
}
