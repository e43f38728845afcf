package main_test

import (
	"fmt"
	"strings"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// keysEach is how many keys each hash is asked for.
const keysEach = 200

// hashing is one way to make a key, in both languages.
type hashing struct {
	haproxy, loadstar string
	ask               func(i int) ask
}

func hashings() []hashing {
	uri := func(i int) ask { return ask{target: fmt.Sprintf("/img/%d/x%d.png?v=%d", i%17, i*7919, i)} }
	host := func(i int) ask {
		return ask{fields: []string{fmt.Sprintf("Host: %s", []string{
			fmt.Sprintf("www.example%d.com", i), fmt.Sprintf("a.b.shop%d.org:8080", i), fmt.Sprintf("plain%d", i), fmt.Sprintf("10.%d.7.%d", i, i),
		}[i%4])}}
	}
	key := func(i int) ask {
		return ask{fields: []string{fmt.Sprintf("X-Key: %s", []string{
			fmt.Sprintf("key-%d", i), fmt.Sprintf("%d, other", i*31), fmt.Sprintf(`"a,%d", b`, i), fmt.Sprintf("é%d ", i),
		}[i%4])}}
	}
	plain := func(i int) ask { return ask{fields: []string{fmt.Sprintf("X-Key: k%dé", i*i)}} }
	query := func(i int) ask {
		return ask{target: []string{
			fmt.Sprintf("/?u=%d", i), fmt.Sprintf("/a?x=1&u=v%d&u=2", i), fmt.Sprintf("/b?u=%%4%d+%d", i%10, i), fmt.Sprintf("/?uu=1&&u=%d&", i*3),
		}[i%4]}
	}
	post := func(i int) ask {
		a := ask{method: "POST", target: "/form?x=1", body: fmt.Sprintf("a=1&u=user%d&b=2", i)}
		if i%2 == 1 {
			a.body = fmt.Sprintf("u=%d", i*131)
		}
		return a
	}
	chunked := func(i int) ask {
		first, rest := fmt.Sprintf("a=1&u=us%d", i*7), fmt.Sprintf("er%d&c=3", i)
		return ask{method: "POST", target: "/form", fields: []string{"Transfer-Encoding: chunked", "Expect: 100-continue"},
			body: fmt.Sprintf("%x\r\n%s\r\n%x;ext\r\n%s\r\n0\r\n\r\n", len(first), first, len(rest), rest)}
	}
	absolute := func(i int) ask {
		return ask{target: fmt.Sprintf("http://h%d/p/%d/q?z", i%5, i), fields: []string{fmt.Sprintf("Host: h%d", i%5)}}
	}
	return []hashing{
		{"balance uri", "balance uri", uri},
		{"balance uri whole", "balance uri whole", uri},
		{"balance uri depth 1", "balance uri depth 1", uri},
		{"balance uri depth 2 len 9", "balance uri depth 2 len 9", uri},
		{"balance uri len 12 whole", "balance uri len 12 whole", uri},
		{"balance uri", "balance uri", absolute},
		{"balance uri path-only", "balance uri path_only", absolute},
		{"balance url_param u", "balance url_param u", query},
		{"balance url_param u check_post", "balance url_param u check_post", post},
		{"balance url_param u check_post", "balance url_param u check_post", chunked},
		{"balance hdr(X-Key)", "balance header X-Key", key},
		{"balance hdr(Host) use_domain_only", "balance header Host domain_only", host},
		{"balance hdr(X-Key)", "balance hash {http.header.X-Key}", plain}, // 2.6 has no `balance hash`
		{"balance source", "balance source", func(i int) ask { return ask{source: fmt.Sprintf("127.%d.%d.%d", 1+i%200, i*37%256, 1+i*11%250)} }},
	}
}

// contests are the rows of the oracle.
func contests() (rows []contest) {
	layouts := []struct{ haproxy, loadstar string }{{"hash-type map-based", "map"}, {"hash-type consistent", "consistent"}}
	setups := []struct {
		weights []int
		state   map[int]string
	}{
		{[]int{1, 1, 1}, nil},
		{[]int{1, 2, 3, 4}, map[int]string{2: "disabled"}},
		{[]int{256, 1, 40, 7, 0}, nil},
		{[]int{6, 3, 9, 3}, map[int]string{1: "disabled", 4: "backup"}},
	}
	for i, h := range hashings() {
		for _, l := range layouts {
			for j, s := range setups {
				if e2e.Race && (i+j)%2 == 1 {
					continue // every key and every setup, but not each with each
				}
				rows = append(rows, contest{
					name:    fmt.Sprintf("%s, %s, weights %v %v", h.loadstar, l.loadstar, s.weights, s.state),
					haproxy: h.haproxy + "\n" + l.haproxy, loadstar: h.loadstar + " " + l.loadstar,
					weights: s.weights, state: s.state, ask: h.ask, n: keysEach,
				})
			}
		}
	}
	uri := func(i int) ask { return ask{target: fmt.Sprintf("/k/%d", i*i)} }
	for _, l := range layouts {
		four := contest{haproxy: "balance uri\n" + l.haproxy, loadstar: "balance uri " + l.loadstar, weights: []int{3, 2, 1, 4}, ask: uri, n: keysEach}
		row := func(name string, change func(c *contest)) {
			c := four
			c.name = "uri " + l.loadstar + ": " + name
			change(&c)
			rows = append(rows, c)
		}
		row("servers found dead by probes", func(c *contest) { c.state, c.probed = map[int]string{1: "dead", 3: "dead"}, true })
		row("all dead but backups", func(c *contest) {
			c.state, c.probed = map[int]string{1: "dead", 2: "dead", 3: "backup", 4: "backup"}, true
		})
		row("all backups", func(c *contest) {
			c.haproxy += "\noption allbackups"
			c.loadstar += "\nall_backups"
			c.state = map[int]string{1: "disabled", 2: "backup", 3: "backup", 4: "backup"}
		})
		row("one server", func(c *contest) { c.weights = []int{3} })
	}
	rows = append(rows, turnRows()...)
	return append(rows, differences()...)
}

// turnRows are the algorithms that take turns, and requests without a key.
func turnRows() (rows []contest) {
	none := func(int) ask { return ask{} }
	sets := [][]int{{1, 1, 1}, {1, 2, 3}, {3, 2, 1}, {5, 1, 1}, {3, 1}, {100, 50, 25}, {7, 3, 2, 2}, {9, 7, 5}, {11, 10, 7, 3, 3, 1}, {13, 1, 4, 9}}
	for _, w := range sets {
		total := 0
		for _, x := range w {
			total += x
		}
		for _, a := range []struct{ haproxy, loadstar string }{
			{"balance roundrobin", "balance roundrobin"},
			{"balance static-rr", "balance static_rr"},
			{"balance hdr(X-None)", "balance header X-None"},
			{"balance hdr(X-None)\nhash-type consistent", "balance header X-None consistent"},
			{"balance url_param none", "balance url_param none"},
		} {
			rows = append(rows, contest{name: fmt.Sprintf("%s, in turns, weights %v", a.loadstar, w),
				haproxy: a.haproxy, loadstar: a.loadstar, weights: w, ask: none, n: min(3*total, 120)})
		}
	}
	rows = append(rows,
		contest{name: "static_rr with a server in maintenance", haproxy: "balance static-rr", loadstar: "balance static_rr",
			weights: []int{4, 3, 2, 1}, state: map[int]string{3: "disabled"}, ask: none, n: 60},
		contest{name: "roundrobin with a drained server and a backup", haproxy: "balance roundrobin", loadstar: "balance roundrobin",
			weights: []int{4, 0, 2, 1}, state: map[int]string{4: "backup"}, ask: none, n: 60},
		contest{name: "first", haproxy: "balance first", loadstar: "balance first", weights: []int{1, 9, 1}, state: map[int]string{1: "disabled"}, ask: none, n: 20},
		contest{name: "header whose values are empty", haproxy: "balance hdr(X-Key)", loadstar: "balance header X-Key", weights: []int{1, 2, 3},
			ask: func(i int) ask {
				return ask{fields: [][]string{{"X-Key:"}, {"X-Key: , b"}, {"X-Key: ,", "X-Key: c"}, {"X-Key: d"}}[i%4]}
			}, n: 40},
		contest{name: "url_param check_post with odd bodies", haproxy: "balance url_param u check_post", loadstar: "balance url_param u check_post", weights: []int{1, 2, 3},
			ask: func(i int) ask {
				body := []string{"u=", "u= 5", "u=\x015", "x=2&u=\xc3\xa9", "u", "uu=1&u=4\r\n", `{"u":1}`, "u=7&u=8", strings.Repeat("x=1&", 2000) + "u=9"}[i%9]
				return ask{method: []string{"POST", "PUT"}[i/9%2], target: []string{"/f", "/f?u=3"}[i%5/4], body: body}
			}, n: 90},
		contest{name: "url_param with odd queries", haproxy: "balance url_param u", loadstar: "balance url_param u", weights: []int{1, 2, 3},
			ask: func(i int) ask {
				return ask{target: []string{"/?u=", "/?U=1", "/?u", "/?%75=1", "/?x=u=5", "/?u&u=7", "/?a?u=3&u=4", "/?=&u=9"}[i%8]}
			}, n: 80},
	)
	return rows
}

// differences are the rows where Loadstar does something else on purpose.
func differences() []contest {
	dots := func(i int) ask { return ask{target: fmt.Sprintf("/a/%d/../../k/%d", i, i*i)} }
	refused := func(i int) ask { return ask{target: strings.Repeat("/r", 1+i)} }
	return []contest{
		{name: "uri with dot segments", haproxy: "balance uri", loadstar: "balance uri", weights: []int{1, 1, 1}, ask: dots, n: 60,
			differs: "targets are hashed as they are forwarded, with dot segments resolved: two spellings of one resource go to one cache"},
		{name: "url_param without check_post, in a body", haproxy: "balance url_param u", loadstar: "balance url_param u", weights: []int{1, 1, 1},
			ask: func(i int) ask { return ask{method: "POST", target: "/f", body: fmt.Sprintf("u=%d", i*i)} }, n: 60,
			differs: "HAProxy searches what of a body came together with the head, even without check_post; here a choice never goes by how a request was cut into packets"},
		{name: "roundrobin beyond sixteen rounds", haproxy: "balance roundrobin", loadstar: "balance roundrobin", weights: []int{7, 3, 2, 2},
			ask: func(int) ask { return ask{} }, n: 600,
			differs: "after as many picks as the weights in sixteenths HAProxy begins anew, with servers that tie in the order in which the last rounds left them; here every round is the same"},
		{name: "map: a server that refuses", haproxy: "balance uri\nretries 1\noption redispatch 1", loadstar: "balance uri\nretry 1",
			weights: []int{1, 1, 1}, state: map[int]string{2: "dead"}, ask: refused, n: 12,
			differs: "a retry goes to the next server of the map, where HAProxy asks the map again and meets the same one"},
	}
}
