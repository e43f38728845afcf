package lint

import (
	"io/fs"
	"net/netip"
)

// Env tells of the machine that the configuration is going to run on. The
// command that lints provides it: this package opens nothing.
type Env interface {
	// FileLimit is how many descriptors the process may open; 0: unknown.
	FileLimit() uint64
	// Addresses are the machine's own, the loopback's among them; nil: unknown.
	Addresses() []netip.Addr
	// LowPorts reports whether ports below 1024 may be opened.
	LowPorts() bool
	// AnySource reports whether connections may be made from addresses that are
	// not this machine's (IP_TRANSPARENT).
	AnySource() bool
	// Stat looks at a file.
	Stat(name string) (fs.FileInfo, error)
}
