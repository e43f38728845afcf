package inspect

import (
	"bufio"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/loadstar-lb/loadstar/dsl/lint"
)

// Here is the machine that this process runs on.
func Here() lint.Env { return here{} }

type here struct{}

// FileLimit gives the hard limit: the Go runtime raises the soft one to it. Root is
// bound by the kernel's only.
func (here) FileLimit() uint64 {
	var l syscall.Rlimit
	if os.Geteuid() == 0 {
		if n, err := strconv.ParseUint(readLine("/proc/sys/fs/nr_open"), 10, 64); err == nil && hasCapability(sysResource) {
			return n
		}
	}
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return larger(l.Cur, l.Max)
}

// larger bridges that a limit has a sign on FreeBSD, and none elsewhere.
func larger[T int64 | uint64](a, b T) uint64 { return uint64(max(a, b)) }

func (here) Addresses() []netip.Addr {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []netip.Addr
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				out = append(out, ip.Unmap())
			}
		}
	}
	return out
}

// LowPorts asks Linux for the capability and for the first port that everybody
// may open; elsewhere only root may.
func (here) LowPorts() bool {
	if os.Geteuid() == 0 {
		return true
	}
	if n, err := strconv.Atoi(readLine("/proc/sys/net/ipv4/ip_unprivileged_port_start")); err == nil && n <= 80 {
		return true
	}
	return hasCapability(bindService)
}

// readLine gives what a file of one line says, "" if it cannot be read.
func readLine(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// AnySource asks Linux for one of the capabilities that IP_TRANSPARENT takes
// (net/ipv4/ip_sockglue.c); being root is not enough in a container.
func (here) AnySource() bool {
	return hasCapability(netAdmin) || hasCapability(netRaw)
}

// The numbers of capabilities (capabilities(7)).
const (
	bindService = 10 // CAP_NET_BIND_SERVICE
	netAdmin    = 12 // CAP_NET_ADMIN
	netRaw      = 13 // CAP_NET_RAW
	sysResource = 24 // CAP_SYS_RESOURCE
)

func hasCapability(number uint) bool {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return false
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if set, ok := strings.CutPrefix(s.Text(), "CapEff:"); ok {
			bits, err := strconv.ParseUint(strings.TrimSpace(set), 16, 64)
			return err == nil && bits>>number&1 == 1
		}
	}
	return false
}

func (here) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }
