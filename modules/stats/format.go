package stats

import (
	"strconv"
	"time"
)

// escape appends a text so that HTML takes it for text, in elements and in quoted
// attributes. Control characters, which could reorder or hide what is read, become
// the replacement character, as do those that turn the direction of writing.
func escape(b []byte, s string) []byte {
	for _, r := range s {
		switch {
		case r == '&':
			b = append(b, "&amp;"...)
		case r == '<':
			b = append(b, "&lt;"...)
		case r == '>':
			b = append(b, "&gt;"...)
		case r == '"':
			b = append(b, "&#34;"...)
		case r == '\'':
			b = append(b, "&#39;"...)
		case r < ' ' && r != '\n' && r != '\t', r >= 0x7f && r < 0xa0, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			b = append(b, "\uFFFD"...)
		default:
			b = append(b, string(r)...)
		}
	}
	return b
}

// amount appends a count for people: 950, 12,345, 1.23 M.
func amount(b []byte, n uint64) []byte {
	switch {
	case n < 1000:
		return strconv.AppendUint(b, n, 10)
	case n < 1_000_000:
		b = append(strconv.AppendUint(b, n/1000, 10), ',')
		rest := n % 1000
		return append(b, byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
	}
	return scaled(b, float64(n), []string{"", " k", " M", " G", " T", " P", " E"})
}

func scaled(b []byte, v float64, units []string) []byte {
	i := 0
	for v >= 999.5 && i < len(units)-1 {
		v, i = v/1000, i+1
	}
	switch {
	case i == 0 || v >= 99.95:
		b = strconv.AppendFloat(b, v, 'f', 0, 64)
	case v >= 9.995:
		b = strconv.AppendFloat(b, v, 'f', 1, 64)
	default:
		b = strconv.AppendFloat(b, v, 'f', 2, 64)
	}
	return append(b, units[i]...)
}

func size(b []byte, n uint64) []byte {
	return scaled(b, float64(n), []string{" B", " kB", " MB", " GB", " TB", " PB", " EB"})
}

// rate appends events a second.
func rate(b []byte, v float64) []byte {
	if v > 0 && v < 9.95 {
		return strconv.AppendFloat(b, v, 'f', 1, 64)
	}
	return amount(b, uint64(v+.5))
}

// tookText appends a time that something took: 340 µs, 1.2 ms, 2.1 s.
func tookText(b []byte, d time.Duration) []byte {
	switch {
	case d < time.Millisecond:
		return append(strconv.AppendInt(b, d.Microseconds(), 10), " µs"...)
	case d < 10*time.Millisecond:
		return append(strconv.AppendFloat(b, float64(d)/float64(time.Millisecond), 'f', 1, 64), " ms"...)
	case d < 10*time.Second:
		return append(strconv.AppendInt(b, d.Milliseconds(), 10), " ms"...)
	}
	return append(strconv.AppendFloat(b, d.Seconds(), 'f', 1, 64), " s"...)
}

// ago appends how long something has lasted: 42s, 5m, 3h 12m, 2d 4h. It is no more
// exact than that, so that a page does not change where nothing happens.
func ago(b []byte, d time.Duration) []byte {
	s := int64(max(d, 0) / time.Second)
	two := func(a int64, x byte, c int64, y byte) []byte {
		b = append(strconv.AppendInt(b, a, 10), x, ' ')
		return append(strconv.AppendInt(b, c, 10), y)
	}
	switch {
	case s < 60:
		return append(strconv.AppendInt(b, s, 10), 's')
	case s < 3600:
		return append(strconv.AppendInt(b, s/60, 10), 'm')
	case s < 86400:
		return two(s/3600, 'h', s/60%60, 'm')
	}
	return two(s/86400, 'd', s/3600%24, 'h')
}
