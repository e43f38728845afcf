package template

// mode is the kind of place a value goes to.
type mode uint8

const (
	plain mode = iota
	html
	url    // a part of a URL: everything but unreserved characters is encoded
	urlOK  // a URL's path: slashes and what else may stand in a path stay
	urlRaw // is URL text already: stays as it is
	modes
)

// of refines the mode for one placeholder: what is URL text already is not
// encoded twice, and a path keeps its slashes.
func (m mode) of(name string) mode {
	if m != url {
		return m
	}
	switch name {
	case "http.uri", "http.original_uri", "http.query", "http.scheme", "http.host", "http.authority":
		return urlRaw
	case "http.path":
		return urlOK
	default:
		return url
	}
}

const hexDigits = "0123456789ABCDEF"

// clean makes dst[start:] fit for its place; nothing is moved in the common
// case that it does already.
func clean(dst []byte, start int, m mode) []byte {
	grow, bad, w := 0, false, &widths[m]
	for _, c := range dst[start:] {
		bad = bad || w[c] != 1
		grow += int(w[c]) - 1
	}
	if !bad {
		return dst
	}
	// Controls are dropped first, going forward; then what grows is written
	// going backward, so that no second buffer is needed.
	out := start
	for _, c := range dst[start:] {
		if w[c] != 0 {
			dst[out] = c
			out++
		} else {
			grow++
		}
	}
	dst = dst[:out]
	for range grow {
		dst = append(dst, 0)
	}
	to := len(dst)
	for from := out - 1; from >= start; from-- {
		c := dst[from]
		to -= int(w[c])
		write(dst[to:], c, m)
	}
	return dst
}

// widths is width as a table, filled in before main.
var widths = func() (t [modes][256]uint8) {
	for m := range modes {
		for c := range 256 {
			t[m][c] = uint8(width(byte(c), m))
		}
	}
	return t
}()

// width is the number of bytes that c becomes.
func width(c byte, m mode) int {
	switch m {
	case url, urlOK:
		if unreserved(c) || m == urlOK && pathChar(c) {
			return 1
		}
		return 3
	case html:
		if e := entity(c); e != "" {
			return len(e)
		}
	case urlRaw:
		if c == '\\' || c == '"' || c == '<' || c == '>' || c == ' ' || c >= 0x80 {
			return 3
		}
	case plain:
	}
	if c < ' ' && c != '\t' || c == 0x7f {
		return 0
	}
	return 1
}

func write(dst []byte, c byte, m mode) {
	switch n := widths[m][c]; {
	case n == 1:
		dst[0] = c
	case m == html:
		copy(dst, entity(c))
	default:
		dst[0], dst[1], dst[2] = '%', hexDigits[c>>4], hexDigits[c&15]
	}
}

func unreserved(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// pathChar is what may stand in a path beside unreserved characters (RFC 3986
// §3.3). ";" is left out: some servers read parameters behind it.
func pathChar(c byte) bool {
	switch c {
	case '/', ':', '@', '!', '$', '&', '\'', '(', ')', '*', '+', ',', '=':
		return true
	default:
		return false
	}
}

func entity(c byte) string {
	switch c {
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '&':
		return "&amp;"
	case '"':
		return "&#34;"
	case '\'':
		return "&#39;"
	default:
		return ""
	}
}
