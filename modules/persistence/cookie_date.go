package persistence

// The dates of max_idle and max_life stand behind the value, each behind a bar:
// VALUE|LAST[|FIRST], five base-64 characters of a count of four seconds since
// 1970 (HAProxy manual, "cookie", maxidle and maxlife).
const (
	dateLen  = 5
	dateUnit = 2 // as a shift: four seconds
	// aDay is how far in the future a date may lie, so that a clock that was set
	// wrong and then right does not expire everybody.
	aDay = 24 * 60 * 60
)

const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// appendDate appends a moment, in units.
func appendDate(b []byte, units int64) []byte {
	for shift := 6 * (dateLen - 1); shift >= 0; shift -= 6 {
		b = append(b, base64Alphabet[units>>shift&63])
	}
	return b
}

// unitsOf rounds a moment in Unix seconds up to units.
func unitsOf(seconds int64) int64 { return (seconds + 1<<dateUnit - 1) >> dateUnit }

// parseDate reads five characters into Unix seconds; 0 if they are no date.
func parseDate(b []byte) int64 {
	if len(b) < dateLen {
		return 0
	}
	var units int64
	for _, c := range b[:dateLen] {
		var d byte
		switch {
		case 'A' <= c && c <= 'Z':
			d = c - 'A'
		case 'a' <= c && c <= 'z':
			d = c - 'a' + 26
		case '0' <= c && c <= '9':
			d = c - '0' + 52
		case c == '+':
			d = 62
		case c == '/':
			d = 63
		default:
			return 0
		}
		units = units<<6 | int64(d)
	}
	return units << dateUnit
}

// stale reports whether a date is longer ago than limit seconds, or too far in
// the future. Without a date or a limit it is not.
func stale(date, limit, now int64) bool {
	return date != 0 && limit != 0 && (now-date > limit || date-now > aDay)
}
