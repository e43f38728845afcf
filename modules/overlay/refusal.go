package overlay

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// Reason classifies a Refusal.
type Reason uint8

// The reasons.
const (
	Invalid  Reason = iota // the change makes no sense
	NotFound               // there is no such pool or server
	Conflict               // it cannot be done as things are
	Outdated               // Change.If is not the version any more
)

// Refusal is why a change was not made; nothing has changed.
type Refusal struct {
	Reason  Reason
	Message string
	Help    []string
	// Diagnostics tell what is wrong with the options of an added server, or
	// with the configuration as it would be.
	Diagnostics diag.List
}

// Error gives everything in one line.
func (r *Refusal) Error() string {
	s := r.Message
	if len(r.Help) > 0 {
		s += "; " + strings.Join(r.Help, "; ")
	}
	for _, d := range r.Diagnostics {
		if d.Severity == diag.Error {
			return s + ": " + d.Message
		}
	}
	return s
}

// unknown is the Refusal of a name that does not exist.
func unknown(what, name string, names []string) *Refusal {
	r := &Refusal{Reason: NotFound, Message: "there is no " + what + " " + quote(name)}
	if near := diag.Nearest(name, names); near != "" {
		r.Help = append(r.Help, "did you mean "+quote(near)+"?")
	} else if len(names) > 0 && len(names) <= 8 {
		r.Help = append(r.Help, "there are "+strings.Join(names, ", "))
	}
	return r
}

func quote(s string) string { return `"` + clip(s) + `"` }
