package flow

import (
	"bytes"
	"errors"
)

// ErrTarget is what a request target gets that could mean one thing to the
// routes and another to a server: NUL, "\", controls, "#", "..;", or dot
// segments hidden behind an encoded slash.
var ErrTarget = errors.New("ambiguous or invalid request target")

// targetScratch keeps the buffers of a normalised target between exchanges.
type targetScratch struct {
	path, target, host []byte
	rewritten          []byte
	authority          []byte
	revision           uint32
}

// Revision counts the changes of the target and the authority; a router that
// has looked something up by them compares it to know when to look again.
func (r *Request) Revision() uint32 { return r.target.revision }

// Rewrite gives the request another target, copied from t, by the rules of
// SetTarget; t may be part of what the request shows now.
func (r *Request) Rewrite(t []byte) error {
	r.target.rewritten = append(r.target.rewritten[:0], t...)
	return r.SetTarget(r.target.rewritten)
}

// SetAuthority gives the request another host, copied from a: what routes see
// (Host), what is forwarded (the Host field) and Authority change together.
// What is no host with an optional port (RFC 9110 §7.2) is refused with
// ErrTarget.
func (r *Request) SetAuthority(a []byte) error {
	if len(a) == 0 {
		return ErrTarget
	}
	for _, c := range a {
		switch {
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9':
		case c == '.', c == '-', c == '_', c == ':', c == '[', c == ']':
		default:
			return ErrTarget
		}
	}
	r.target.revision++
	r.target.authority = append(r.target.authority[:0], a...)
	r.Authority = r.target.authority
	r.Host = r.HostOf(r.Authority)
	r.Header.SetBytes("Host", r.Authority)
	return nil
}

// StripPrefix takes a decoded, normalised path prefix without final slash
// ("/api") off the target where it ends at a segment's border. Escapes of what
// is left stay as they came. false: the path does not begin with it. What is
// left must begin with a plain slash, else ErrTarget.
func (r *Request) StripPrefix(prefix string) (bool, error) {
	if n := len(prefix); len(r.Path) < n || string(r.Path[:n]) != prefix || len(r.Path) > n && r.Path[n] != '/' {
		return false, nil
	}
	path := r.Target
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	// The raw target is walked beside its decoded form, in which a run of
	// slashes is one.
	i, slash := 0, false
	for n := 0; n < len(prefix); {
		if i >= len(path) {
			return false, ErrTarget
		}
		c, size := path[i], 1
		if c == '%' {
			if i+2 >= len(path) {
				return false, ErrTarget
			}
			c, size = unhex(path[i+1])<<4|unhex(path[i+2]), 3
		}
		if c != '/' || !slash {
			n++
		}
		slash = c == '/'
		i += size
	}
	path = path[i:]
	for len(path) > 1 && path[0] == '/' && path[1] == '/' { // "//host" must not come out of "/api//host"
		path = path[1:]
	}
	b := r.target.rewritten[:0]
	if len(path) == 0 {
		b = append(b, '/')
	}
	b = append(b, path...)
	if r.Query != nil {
		b = append(append(b, '?'), r.Query...)
	}
	r.target.rewritten = b
	return true, r.SetTarget(b)
}

// SetTarget takes an origin-form target ("/path?query"), decides what routes
// see (Path: percent-decoded, dot segments resolved, slashes merged) and what
// is forwarded (Target), so that the two never differ in meaning:
//
//   - a target without dot segments is forwarded as it came;
//   - dot segments, encoded (%2e) or plain, are resolved (RFC 3986 §5.2.4) in
//     what is forwarded, too, so that no server can resolve them another way;
//   - what stays ambiguous is refused with ErrTarget.
//
// "*" (OPTIONS) is taken as it is.
func (r *Request) SetTarget(t []byte) error {
	r.target.revision++
	r.Target, r.Query = t, nil
	path := t
	if i := bytes.IndexByte(t, '?'); i >= 0 {
		path, r.Query = t[:i], t[i+1:]
	}
	if len(path) == 1 && (path[0] == '*' || path[0] == '/') {
		r.Path = path
		return checkQuery(r.Query)
	}
	if len(path) == 0 || path[0] != '/' {
		return ErrTarget
	}
	plain := plainPath(path)
	if err := checkQuery(r.Query); err != nil {
		return err
	}
	if plain {
		r.Path = path
		return nil
	}
	return r.normalise(path)
}

func checkQuery(q []byte) error {
	for _, c := range q {
		if targetClass[c]&inQuery == 0 {
			return ErrTarget
		}
	}
	return nil
}

// Classes of bytes: what may stand in a query, and what needs no second look
// in a path.
const (
	inQuery = 1 << iota
	plainInPath
)

// targetClass is filled in once, before main; a table halves the cost of a target.
var targetClass = func() (t [256]uint8) {
	for i := range t {
		c := byte(i)
		if c > ' ' && c != 0x7f && c != '#' {
			t[c] = inQuery
			if c < 0x7f && c != '%' && c != '\\' && c != ';' {
				t[c] |= plainInPath
			}
		}
	}
	return t
}()

// plainPath tells whether a path means itself: no escapes, dot segments,
// doubled slashes, parameters or odd bytes.
func plainPath(p []byte) bool {
	for i, c := range p {
		if targetClass[c]&plainInPath == 0 {
			return false
		}
		if c == '/' && i+1 < len(p) && (p[i+1] == '/' || p[i+1] == '.') {
			return false
		}
	}
	return true
}

func (r *Request) normalise(path []byte) error {
	dec := r.target.path[:0]
	hiddenSlash := false
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case c <= ' ' || c == 0x7f || c == '#' || c == '\\':
			return ErrTarget
		case c == '%':
			if i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]) {
				return ErrTarget
			}
			c = unhex(path[i+1])<<4 | unhex(path[i+2])
			if c == 0 || c == '\\' {
				return ErrTarget
			}
			hiddenSlash = hiddenSlash || c == '/'
			i += 2
		}
		dec = append(dec, c)
	}
	r.target.path = dec
	dots, params := dotSegments(dec)
	switch {
	case params, dots && hiddenSlash:
		return ErrTarget
	case dots:
		// What is forwarded must be resolved too; the raw segments are
		// walked beside their decoded form.
		r.target.target = removeDots(r.target.target[:0], path, rawDots)
		if r.Query != nil {
			r.target.target = append(append(r.target.target, '?'), r.Query...)
		}
		r.Target = r.target.target
		dec = removeDots(dec[:0], dec, plainDots)
	}
	r.Path = mergeSlashes(dec)
	return nil
}

// dotSegments looks in a decoded path for "." and ".." segments, and for "..;",
// which some servers take for ".." wherever it stands; "." before a parameter
// is the same to them.
func dotSegments(p []byte) (dots, params bool) {
	params = bytes.Contains(p, []byte("..;")) || bytes.Contains(p, []byte("/.;"))
	for len(p) > 0 {
		p = p[1:] // the slash
		seg := p
		if i := bytes.IndexByte(p, '/'); i >= 0 {
			seg = p[:i]
		}
		p = p[len(seg):]
		dots = dots || isDots(seg)
	}
	return dots, params
}

func isDots(s []byte) bool { return plainDots(s) > 0 }

// plainDots is 1 for ".", 2 for "..", else 0.
func plainDots(s []byte) int {
	if len(s) == 1 && s[0] == '.' || len(s) == 2 && s[0] == '.' && s[1] == '.' {
		return len(s)
	}
	return 0
}

// rawDots is plainDots for a raw segment, "%2e" counting as a dot.
func rawDots(s []byte) int {
	n := 0
	for len(s) > 0 {
		switch {
		case s[0] == '.':
			s = s[1:]
		case len(s) >= 3 && s[0] == '%' && s[1] == '2' && s[2]|0x20 == 'e':
			s = s[3:]
		default:
			return 0
		}
		n++
	}
	if n > 2 {
		return 0
	}
	return n
}

// removeDots appends path to dst with its dot segments, as dots counts them,
// resolved. dst may be the start of path: it never overtakes it.
func removeDots(dst, path []byte, dots func([]byte) int) []byte {
	start := len(dst)
	for len(path) > 0 {
		rest := path[1:]
		end := bytes.IndexByte(rest, '/')
		last := end < 0
		if last {
			end = len(rest)
		}
		seg := rest[:end]
		path = rest[end:]
		switch dots(seg) {
		case 1:
		case 2:
			if i := bytes.LastIndexByte(dst[start:], '/'); i >= 0 {
				dst = dst[:start+i]
			}
		default:
			dst = append(dst, '/')
			dst = append(dst, seg...)
			continue
		}
		if last { // "/a/." and "/a/b/.." keep their final slash
			dst = append(dst, '/')
		}
	}
	if len(dst) == start {
		dst = append(dst, '/')
	}
	return dst
}

func mergeSlashes(p []byte) []byte {
	out := p[:0]
	for i, c := range p {
		if c == '/' && i > 0 && p[i-1] == '/' {
			continue
		}
		out = append(out, c)
	}
	return out
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
