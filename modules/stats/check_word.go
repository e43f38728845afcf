package stats

import (
	"strconv"
	"strings"
)

// checkWords are HAProxy's short words for what its checks say in the log (its
// management guide, §9.1, "check_status").
var checkWords = map[string]string{
	"Layer4 check passed": "L4OK", "Layer4 timeout": "L4TOUT", "Layer4 connection problem": "L4CON",
	"Layer6 check passed": "L6OK", "Layer6 timeout": "L6TOUT", "Layer6 invalid response": "L6RSP",
	"Layer7 check passed": "L7OK", "Layer7 check conditionally passed": "L7OKC", "Layer7 timeout": "L7TOUT",
	"Layer7 invalid response": "L7RSP", "Layer7 wrong status": "L7STS",
	"External check passed": "PROCOK", "External check error": "PROCERR", "External check timeout": "PROCTOUT",
}

// checkWord takes the text of a check apart: HAProxy's short word, the status or
// exit code (0: none), and its long words.
func checkWord(c *Check) (word string, code int, long string) {
	long, rest, _ := strings.Cut(c.Text, ", ")
	if digits, ok := strings.CutPrefix(rest, "code: "); ok {
		digits, _, _ = strings.Cut(digits, ",")
		code, _ = strconv.Atoi(digits)
	}
	word = checkWords[long]
	if word == "" {
		if word = "L7STS"; c.Good {
			word = "L7OK"
		}
	}
	return word, code, long
}
