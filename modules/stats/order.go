package stats

import (
	"fmt"
	"net/url"
	"strings"
)

// Order is what a page's form asks for.
type Order struct {
	Action  string // drain, maint, ready, shut or weight
	Pool    string
	Servers []string
	Weight  string // of weight
	Token   string
}

// maxServers bounds how many servers one order is about: a page shows no more.
const maxServers = 2 * PerPage

// ParseOrder reads a form (HTML §4.10.22.7, application/x-www-form-urlencoded).
// Its error is for whoever sent the form.
func ParseOrder(form string) (*Order, error) {
	q, err := url.ParseQuery(form)
	if err != nil {
		return nil, fmt.Errorf("the form cannot be read: %w", err)
	}
	o := &Order{Action: q.Get("action"), Pool: q.Get("pool"), Servers: q["s"], Token: q.Get("token")}
	switch o.Action {
	case "weight":
		o.Weight = strings.TrimSpace(q.Get("weight"))
	case "drain", "maint", "ready", "shut":
	case "":
		return nil, fmt.Errorf("the form asks for nothing")
	default:
		return nil, fmt.Errorf("there is no action %q", clip(o.Action))
	}
	switch n := len(o.Servers); {
	case n == 0:
		return nil, fmt.Errorf("no server was chosen: tick the boxes of those that are meant")
	case n > maxServers:
		return nil, fmt.Errorf("%d servers at a time are too many; at most %d", n, maxServers)
	}
	return o, nil
}

func clip(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// done are the words for what was done.
var done = map[string]string{
	"drain": "drained", "maint": "put into maintenance", "ready": "made ready", "shut": "freed of their sessions", "weight": "given another weight",
}

// Done tells of an action that went well; "" if there is no such action.
func Done(action string, servers int) string {
	words := done[action]
	switch {
	case words == "" || servers < 1 || servers > maxServers:
		return ""
	case servers == 1:
		return "One server was " + strings.Replace(words, "their", "its", 1) + "."
	}
	return fmt.Sprintf("%d servers were %s.", servers, words)
}
