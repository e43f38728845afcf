package http2

// What HTTP/2 asks of fields beyond what HTTP asks of them anyway (RFC 9113
// §8.2.1).

// Blank reports whether a value begins or ends with a blank.
func Blank(v []byte) bool {
	return len(v) > 0 && (v[0] == ' ' || v[0] == '\t' || v[len(v)-1] == ' ' || v[len(v)-1] == '\t')
}

// MaxName bounds a field's name: more does not fit a field's record.
const MaxName = 1 << 15

// LowerName reports whether a name has no capital letters and is not too long.
func LowerName(name []byte) bool {
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return len(name) <= MaxName
}

// Underscored reports whether a name has a "_", which some servers take for "-".
func Underscored(name []byte) bool {
	for _, c := range name {
		if c == '_' {
			return true
		}
	}
	return false
}
