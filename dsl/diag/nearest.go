package diag

import "strings"

// Nearest gives the word that a misspelt one was most likely meant to be, ""
// if none is near: at most a third of its letters may be wrong, but one always
// may. Of equally near words the first wins.
func Nearest(got string, words []string) string {
	if len(got) > 64 {
		return ""
	}
	best, limit := "", max(1, min(3, len(got)/3))
	low := strings.ToLower(got)
	for _, w := range words {
		if w == got || w == "" || len(w) > 64 {
			continue
		}
		d := Distance(low, strings.ToLower(w), limit)
		if d <= limit && (d < len(w)) {
			if d == 0 {
				return w
			}
			best, limit = w, d-1
		}
	}
	return best
}

// Distance is the Damerau-Levenshtein distance in its restricted form (optimal
// string alignment): insertions, deletions, replacements, and swaps of
// neighbours. It gives up above the limit.
func Distance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	var rows [3][65]int
	before, last, row := &rows[0], &rows[1], &rows[2]
	for j := 0; j <= len(b); j++ {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
