// Package rig starts the programs that tests, benches and soaks look at from
// outside: it finds ports, runs processes, keeps what they print and waits
// until they answer. Only tools and tests import it; it is no part of the product.
package rig

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"
)

// given are the ports that Ports has tried: none comes twice, for between the moment in
// which it is found free and the one in which it is bound another test may run.
var given sync.Map

// Ports finds n distinct TCP ports that are free on the loopback address. They
// lie below the range from which the kernel takes the ports of outgoing
// connections, so that a load generator does not sit on one of them before the
// program under test has bound it.
func Ports(n int) ([]int, error) {
	held := make([]net.Listener, 0, n)
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	ports := make([]int, 0, n)
	for range 200 * n {
		if len(ports) == n {
			return ports, nil
		}
		port := 12000 + rand.IntN(20000)
		if _, before := given.LoadOrStore(port, true); before {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			continue
		}
		held = append(held, l)
		ports = append(ports, port)
	}
	if len(ports) == n {
		return ports, nil
	}
	return nil, fmt.Errorf("only %d of %d ports could be had", len(ports), n)
}

// Addr is the loopback address of a port.
func Addr(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// Until calls ok every few milliseconds until it is true or the time is over,
// and tells which.
func Until(limit time.Duration, ok func() bool) bool {
	for end := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		if ok() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}
