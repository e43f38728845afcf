package graph

import (
	"bytes"
	"fmt"
)

// Hosts finds what serves a host: by its exact name, else by the longest
// wildcard it falls under, else the default. It is not changed once it serves.
type Hosts[T any] struct {
	exact    map[string]*T
	wild     map[string]*T // ".example.com" for *.example.com
	fallback *T
}

// Add enters a host as the checked configuration writes it: "" (every host not
// claimed otherwise), "example.com" or "*.example.com", lower case. Its error
// says that the host is taken, or is none of these.
func (h *Hosts[T]) Add(host string, v *T) error {
	table, key := &h.exact, host
	switch {
	case host == "":
		if h.fallback != nil {
			return fmt.Errorf("two sites for every host")
		}
		h.fallback = v
		return nil
	case host[0] == '*':
		if len(host) < 3 || host[1] != '.' {
			return fmt.Errorf("%q is no wildcard: write *.example.com", host)
		}
		table, key = &h.wild, host[1:]
	}
	if *table == nil {
		*table = make(map[string]*T)
	}
	if (*table)[key] != nil {
		return fmt.Errorf("two sites for %s", host)
	}
	(*table)[key] = v
	return nil
}

// Lookup finds the entry of a host (lower case, without port), nil if there is
// none. Its cost does not depend on how many hosts there are.
func (h *Hosts[T]) Lookup(host []byte) *T {
	if v := h.exact[string(host)]; v != nil {
		return v
	}
	if h.wild != nil {
		for rest := host; ; {
			i := bytes.IndexByte(rest, '.')
			if i < 0 {
				break
			}
			// A wildcard stands for at least one character.
			if rest = rest[i:]; len(rest) < len(host) {
				if v := h.wild[string(rest)]; v != nil {
					return v
				}
			}
			rest = rest[1:]
		}
	}
	return h.fallback
}
