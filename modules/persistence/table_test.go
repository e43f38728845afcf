package persistence

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// A small table against a slice in the order of use.
func TestTableModel(t *testing.T) {
	type known struct {
		key, server string
		used        int64
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	const size, expire = 20, 50
	table := NewTable(size, expire)
	var model []known // the one used last at the end
	now := int64(1)
	for range 50000 {
		now += rnd.Int64N(4)
		key := fmt.Sprint("k", rnd.IntN(40))
		at := -1
		for i := range model {
			if model[i].key == key {
				at = i
			}
		}
		var e known
		if at >= 0 {
			e = model[at]
			model = append(model[:at:at], model[at+1:]...)
		}
		if rnd.IntN(2) == 0 {
			want := e.server
			if at >= 0 && now-e.used > expire {
				want, at = "", -1
			}
			if got := table.Get([]byte(key), now); got != want {
				t.Fatalf("%s: %q, want %q", key, got, want)
			}
			if at < 0 {
				continue
			}
		} else {
			e = known{key: key, server: fmt.Sprint("s", rnd.IntN(3))}
			table.Put([]byte(key), e.server, now)
		}
		e.used = now
		model = append(model, e)
		if len(model) > size { // an expired one counts until it is the oldest
			model = model[1:]
		}
		if n := table.Len(); n > size {
			t.Fatalf("%d entries of %d", n, size)
		}
	}
}

// The bound holds for many keys in many shards, and when the limit changes.
func TestTableLimit(t *testing.T) {
	table := NewTable(10000, 0)
	var key [8]byte
	put := func(from, to uint64) {
		for i := from; i < to; i++ {
			binary.BigEndian.PutUint64(key[:], i)
			table.Put(key[:], "s", int64(i))
		}
	}
	put(1, 30000)
	if n := table.Len(); n > 10000 || n < 9000 {
		t.Errorf("%d entries of 10000", n)
	}
	for _, size := range []int{20000, 100, 7, 5000} {
		before := table.Len()
		table.Limit(size, 0)
		if n := table.Len(); n > size || n < min(before, size*9/10) {
			t.Errorf("%d entries of %d, %d before", n, size, before)
		}
		binary.BigEndian.PutUint64(key[:], 29999)
		if table.Get(key[:], 40000) != "s" {
			t.Errorf("the entry used last is gone at %d", size)
		}
	}
}

func TestLongKeysAreBounded(t *testing.T) {
	table := NewTable(10, 0)
	a, b := []byte(strings.Repeat("x", 100000)+"a"), []byte(strings.Repeat("x", 100000)+"b")
	table.Put(a, "one", 1)
	table.Put(b, "two", 1)
	if table.Get(a, 1) != "one" || table.Get(b, 1) != "two" {
		t.Error("long keys are not told apart")
	}
	shards := *table.shards.Load()
	for i := range shards {
		shards[i].each(func(e *entry) {
			if len(e.key) > longKey {
				t.Errorf("a key of %d bytes is kept", len(e.key))
			}
		})
	}
}

func TestTableAllocatesNothing(t *testing.T) {
	table := NewTable(1000, time.Hour)
	long := []byte(strings.Repeat("x", 1000))
	key := []byte("k")
	table.Put(key, "s", 1)
	table.Put(long, "s", 1)
	if n := testing.AllocsPerRun(100, func() {
		table.Get(key, 2)
		table.Get(long, 2)
		table.Put(key, "other", 3)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTableUnderContention(t *testing.T) {
	table := NewTable(5000, 0)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 1))
			for i := range 5000 {
				key := []byte(fmt.Sprint(rnd.IntN(9000)))
				if s := table.Get(key, int64(i)); s != "" && s != "s"+string(key) {
					t.Errorf("%s belongs to %s", key, s)
				}
				table.Put(key, "s"+string(key), int64(i))
				if i%1000 == 0 {
					table.Limit(4000+rnd.IntN(2)*2000, 0)
				}
			}
		})
	}
	wg.Wait()
}

func affinity(t testing.TB, m Module, n *config.Node, tables map[TableKey]*Table, servers []*upstream.Server) Affinity {
	t.Helper()
	var warnings diag.List
	a, err := m.New(n, &Env{
		Pool: "p", Servers: servers, Warnings: &warnings,
		Named: func(name string) (TableSpec, bool) {
			return TableSpec{TableKey: TableKey{name, TableType(strings.TrimSuffix(name, "s"))}, Size: 10}, name == "ips" || name == "strings"
		},
		Table: func(s TableSpec) *Table {
			if tables[s.TableKey] == nil {
				tables[s.TableKey] = NewTable(s.Size, s.Expire)
			}
			return tables[s.TableKey]
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func sizeNode(variant string, options ...config.Node) *config.Node {
	return &config.Node{Word: "persist", Variant: variant, Args: []config.Value{{Text: "X-Id"}},
		Options: append(options, config.Node{Word: "size", Args: []config.Value{{Int: 100}}})}
}

// What a client is known by, and what becomes of it.
func TestLearn(t *testing.T) {
	key := func(text string) config.Node { return config.Node{Word: "key", Args: []config.Value{{Text: text}}} }
	table := func(name, k string) *config.Node {
		n := sizeNode("table", key(k))
		n.Args[0].Text = name
		return n
	}
	from := func(ip string, fields ...string) *flow.Exchange {
		x := exchange(fields...)
		x.Client = netip.MustParseAddr(ip)
		return x
	}
	for _, c := range []struct {
		name        string
		m           Module
		n           *config.Node
		same, other *flow.Exchange // of the same client as the first, of another
		none        *flow.Exchange // of nobody; nil: there is no such
		http        string
	}{
		{"source", sourceModule, sizeNode("source"), from("10.0.0.1", "X-Id: 2"), from("10.0.0.2"), nil, ""},
		{"header", headerModule, sizeNode("header"), from("10.0.0.9", "x-id: 1"), from("10.0.0.1", "X-Id: 2"), from("10.0.0.1"), "the header field X-Id"},
		{"ips", tableModule, table("ips", "{client.ip}"), from("10.0.0.1"), from("10.0.0.2"), nil, ""},
		{"ips by header", tableModule, table("ips", "{http.header.x-ip}"), from("10.0.0.9", "X-Ip: ::ffff:1.2.3.4"), from("10.0.0.1", "X-Ip: 1.2.3.5"),
			from("10.0.0.1", "X-Ip: nonsense"), "{http.header.*}"},
		{"strings", tableModule, table("strings", "{client.ip}{http.header.x-id}"), from("10.0.0.1", "X-Id: 1"), from("10.0.0.1", "X-Id: 2"), nil, "{http.header.*}"},
	} {
		servers := serversOf("", "", "")
		tables := map[TableKey]*Table{}
		a := affinity(t, c.m, c.n, tables, servers)
		if got := a.NeedsHTTP(); got != c.http {
			t.Errorf("%s: needs %q, want %q", c.name, got, c.http)
		}
		b := &bound{Affinity: a}
		first := from("10.0.0.1", "X-Id: 1", "X-Ip: 1.2.3.4")
		if s := b.find(first); s != nil {
			t.Errorf("%s: %v out of nothing", c.name, s)
		}
		a.Bind(first, &b.v, servers[1])
		if s := b.find(c.same); s != servers[1] {
			t.Errorf("%s: the client is not known again: %v", c.name, s)
		}
		if s := b.find(c.other); s != nil {
			t.Errorf("%s: another is taken for the client", c.name)
		}
		if c.none != nil {
			s := b.find(c.none)
			a.Bind(c.none, &b.v, servers[2])
			if s != nil || b.find(c.none) != nil {
				t.Errorf("%s: nobody is somebody", c.name)
			}
		}
		// The next generation has the entries, without the server that went.
		next := serversOf("", "")
		b = &bound{Affinity: affinity(t, c.m, c.n, tables, next)}
		if s := b.find(c.same); s != next[1] {
			t.Errorf("%s: forgotten after a reload: %v", c.name, s)
		}
		next[1].Weight = 0 // drained: those who belong to it still go there
		if s := b.find(c.same); s != next[1] {
			t.Errorf("%s: a drained server does not keep its clients", c.name)
		}
		next[1].Live.SetVerdict(upstream.Down, "")
		if s := b.find(c.same); s != nil {
			t.Errorf("%s: sent to a server that is down", c.name)
		}
		b.Bind(c.same, &b.v, next[0])
		if s := b.find(c.same); s != next[0] {
			t.Errorf("%s: not bound anew", c.name)
		}
		gone := serversOf("")[:0]
		b = &bound{Affinity: affinity(t, c.m, c.n, tables, gone)}
		if s := b.find(c.same); s != nil {
			t.Errorf("%s: a server that is not configured any more: %v", c.name, s)
		}
	}
}

func TestLearnAllocatesNothing(t *testing.T) {
	servers := serversOf("", "")
	for _, m := range []Module{sourceModule, headerModule} {
		a := affinity(t, m, sizeNode(m.Spec.Name), map[TableKey]*Table{}, servers)
		b := &bound{Affinity: a}
		x := exchange("X-Id: 17")
		x.Client = netip.MustParseAddr("10.0.0.1")
		b.find(x)
		a.Bind(x, &b.v, servers[1])
		if n := testing.AllocsPerRun(100, func() { b.find(x); a.Bind(x, &b.v, servers[1]) }); n != 0 {
			t.Errorf("%s: %v allocations", m.Spec.Name, n)
		}
	}
}

func TestFixedKeyIsRefused(t *testing.T) {
	var warnings diag.List
	n := sizeNode("table", config.Node{Word: "key", Args: []config.Value{{Text: "same"}}})
	_, err := tableModule.New(n, &Env{Warnings: &warnings, Named: func(string) (TableSpec, bool) { return TableSpec{}, true }})
	if err == nil || !strings.Contains(err.Error(), "same for every client") {
		t.Errorf("got %v", err)
	}
}
