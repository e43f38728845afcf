package spec

import (
	"fmt"
	"strconv"
	"strings"
)

// StatusRange is a stretch of HTTP statuses, both ends included.
type StatusRange struct{ From, To int }

// ParseStatuses reads a value of kind Statuses: statuses (200), stretches
// (200-399) and classes (5xx), joined by commas.
func ParseStatuses(text string) ([]StatusRange, error) {
	var out []StatusRange
	for part := range strings.SplitSeq(text, ",") {
		r, ok := parseStatusRange(part)
		if !ok {
			return nil, fmt.Errorf("%q is no set of statuses: write 200, 200-399 or 5xx, joined by commas", part)
		}
		out = append(out, r)
	}
	return out, nil
}

func parseStatusRange(text string) (StatusRange, bool) {
	if class, ok := strings.CutSuffix(text, "xx"); ok {
		if len(class) != 1 || class[0] < '1' || class[0] > '5' {
			return StatusRange{}, false
		}
		from := int(class[0]-'0') * 100
		return StatusRange{from, from + 99}, true
	}
	low, high, two := strings.Cut(text, "-")
	if !two {
		high = low
	}
	from, ok := parseStatus(low)
	to, ok2 := parseStatus(high)
	return StatusRange{from, to}, ok && ok2 && from <= to
}

func parseStatus(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && len(text) == 3 && n >= 100 && n <= 599
}
