package main_test

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// TestOracleQueue compares in which order those who wait get their turn: some
// wait for any server, some for one of the two.
func TestOracleQueue(t *testing.T) {
	t.Parallel()
	turns := make(chan string, 64) // who arrived at a server
	free := map[string]chan bool{"a": make(chan bool), "b": make(chan bool)}
	answer := func(server string) func(net.Conn, *e2e.Message) bool {
		return func(c net.Conn, m *e2e.Message) bool {
			turns <- server + m.Header.Get("X-Who")
			<-free[server]
			_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			return err == nil
		}
	}
	d := startDuel(t, []setup{{"q",
		" cookie SRV insert\n server a 127.0.0.1:{a} cookie A maxconn 1\n server b 127.0.0.1:{b} cookie B maxconn 1",
		"\tpersist cookie SRV insert\n\tqueue timeout 20s\n\tserver a 127.0.0.1:{a} cookie A maxconn 1\n\tserver b 127.0.0.1:{b} cookie B maxconn 1"}}, answer)
	for _, order := range []string{"..AB.A.B", "AAA...BBB", "B.A.B.A.", "....", "A.....BA", "ABABAB.."} {
		for _, release := range []string{"ab", "aab", "bba"} {
			// Nothing tells from outside that one waits, so arrivals are spaced in
			// time; a busy machine needs more of it.
			var got [2]string
			for _, gap := range []time.Duration{15 * time.Millisecond, 60 * time.Millisecond, 250 * time.Millisecond} {
				for side := range sides {
					got[side] = d.queue(t, side, queueing{order, release, gap}, turns, free)
				}
				if got[0] == got[1] {
					break
				}
			}
			d.compare(t, "queue "+order+" with slots given back by "+release, got, "")
		}
	}
	d.tally(t)
}

// queueing is who enters, whose slots are given back, and the time between two
// arrivals.
type queueing struct {
	order, release string
	gap            time.Duration
}

// queue fills both slots, has those of order enter, and frees slots in the order
// of release, again and again; it tells who got which.
func (d *duel) queue(t *testing.T, side int, q queueing, turns chan string, free map[string]chan bool) string {
	t.Helper()
	order, release := q.order, q.release
	var clients []*e2e.Client
	enter := func(cookie byte) {
		c := e2e.Dial(t, d.ports["q"][side])
		text := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: h\r\nX-Who: %d\r\nConnection: close\r\n", d.path(), len(clients))
		if cookie != '.' {
			text += fmt.Sprintf("Cookie: SRV=%c\r\n", cookie)
		}
		c.Send(text + "\r\n")
		clients = append(clients, c)
	}
	next := func() string {
		select {
		case who := <-turns:
			return who
		case <-time.After(e2e.Patience):
			t.Fatalf("%s: nobody got the slot (order %s, release %s)", sides[side], order, release)
			return ""
		}
	}
	enter('A')
	enter('B')
	held := map[string]int{}
	for range 2 {
		held[next()[:1]]++
	}
	for i := range order {
		enter(order[i])
		time.Sleep(q.gap)
	}
	left := map[string]int{"a": strings.Count(order, "A"), "b": strings.Count(order, "B")}
	var served []string
	unbound := strings.Count(order, ".")
	for i := 0; len(served) < len(order); i++ {
		s := release[i%len(release) : i%len(release)+1]
		if held[s] == 0 {
			continue
		}
		free[s] <- true
		held[s]--
		if left[s]+unbound == 0 {
			continue // nobody waits for it
		}
		who := next()
		n, err := strconv.Atoi(who[1:])
		if n -= 2; err != nil || n < 0 || n >= len(order) {
			t.Fatalf("%s: %s got a slot twice (order %s, release %s, so far %v)", sides[side], who, order, release, served)
		}
		if order[n] == '.' {
			unbound--
		} else {
			left[who[:1]]--
		}
		held[who[:1]]++
		served = append(served, who)
	}
	for s, n := range held {
		for range n {
			free[s] <- true
		}
	}
	for _, c := range clients {
		c.Answer("GET")
		c.Close()
	}
	return strings.Join(served, " ")
}
