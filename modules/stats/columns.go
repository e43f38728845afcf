package stats

import (
	"strings"
	"time"
)

// haproxyColumns is the header of HAProxy's statistics, up to the dash that ends its
// fixed part (its management guide, §9.1; 2.6 has just these, later versions
// append to them). What stands behind the dash there are counters of its
// multiplexers, which we have not.
const haproxyColumns = "pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,bck," +
	"chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max,check_status,check_code," +
	"check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail,req_rate,req_rate_max,req_tot,cli_abrt,srv_abrt," +
	"comp_in,comp_out,comp_byp,comp_rsp,lastsess,last_chk,last_agt,qtime,ctime,rtime,ttime,agent_status,agent_code,agent_duration," +
	"check_desc,agent_desc,check_rise,check_fall,check_health,agent_rise,agent_fall,agent_health,addr,cookie,mode,algo,conn_rate," +
	"conn_rate_max,conn_tot,intercepted,dcon,dses,wrew,connect,reuse,cache_lookups,cache_hits,srv_icur,src_ilim,qtime_max,ctime_max," +
	"rtime_max,ttime_max,eint,idle_conn_cur,safe_conn_cur,used_conn_cur,need_conn_est,uweight,agg_server_status," +
	"agg_server_check_status,agg_check_status"

// ownColumns follow HAProxy's: percentiles of the time to an answer's head, in
// milliseconds with fractions, and what an operator has changed.
const ownColumns = "-,rtime_p50,rtime_p90,rtime_p99,ordered"

// columns are all names in their order, places their numbers.
var (
	columns = strings.Split(haproxyColumns+","+ownColumns, ",")
	places  = func() map[string]int {
		out := make(map[string]int, len(columns))
		for i, name := range columns {
			out[name] = i
		}
		return out
	}()
)

// cell is one value: a text, or a number. The zero cell is empty.
type cell struct {
	kind cellKind
	text string
	n    uint64
	f    float64
}

type cellKind uint8

const (
	empty cellKind = iota
	text
	number
	small // a number that HAProxy counts with 32 bits
	fraction
)

// record is one row's cells by column.
type record []cell

func (c record) text(name, v string) {
	if v != "" {
		c[places[name]] = cell{kind: text, text: v}
	}
}
func (c record) count(name string, n uint64) { c[places[name]] = cell{kind: number, n: n} }
func (c record) gauge(name string, n int64) {
	c[places[name]] = cell{kind: small, n: uint64(max(n, 0))}
}

func (c record) limit(name string, n int64) {
	if n > 0 {
		c.gauge(name, n)
	}
}

func (c record) ms(name string, d time.Duration) { c.gauge(name, d.Milliseconds()) }

func (c record) exact(name string, d time.Duration) {
	c[places[name]] = cell{kind: fraction, f: float64(d) / float64(time.Millisecond)}
}

func (c record) seconds(name string, d time.Duration) { c.gauge(name, int64(d/time.Second)) }

// fill writes a row into cells, as many as columns. As with HAProxy a column that
// makes no sense for a kind of row stays empty.
func (c record) fill(r *Row, at position) {
	clear(c)
	c.text("pxname", r.Group)
	c.text("svname", r.svname())
	c.gauge("scur", r.Current)
	c.gauge("smax", r.Max)
	c.limit("slim", r.Limit)
	c.count("stot", uint64(max(r.Total, 0)))
	c.count("bin", r.BytesIn)
	c.count("bout", r.BytesOut)
	c.text("status", r.Status)
	c.gauge("pid", 1) // HAProxy's number of the process, of one
	c.gauge("iid", int64(at.proxy))
	c.gauge("sid", int64(at.id))
	c.gauge("type", int64(r.Kind))
	c.gauge("rate", int64(r.Rate+.5))
	c.gauge("rate_max", int64(r.RateMax+.5))
	c.text("mode", r.Mode)
	c.count("eint", r.Internal)
	c.text("ordered", r.Ordered)
	if r.Mode == "http" {
		c.answers(r)
	}
	if r.Kind == Site {
		c.site(r)
	} else {
		c.serving(r)
	}
	if r.Kind == Server {
		c.server(r)
	}
	c.exact("rtime_p50", r.Response.P50)
	c.exact("rtime_p90", r.Response.P90)
	c.exact("rtime_p99", r.Response.P99)
}

func (r *Row) svname() string {
	switch r.Kind {
	case Site:
		return "FRONTEND"
	case Group:
		return "BACKEND"
	case Server:
	}
	return r.Name
}

var hrsp = [...]string{"hrsp_other", "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx"}

func (c record) answers(r *Row) {
	all := uint64(0)
	for i, n := range r.Classes {
		c.count(hrsp[i], n)
		all += n
	}
	c.count("req_tot", all)
}

func (c record) site(r *Row) {
	c.count("dreq", r.Denied)
	c.count("dresp", 0)
	c.count("ereq", r.BadRequests)
	c.gauge("conn_rate", int64(r.Rate+.5))
	c.gauge("conn_rate_max", int64(r.RateMax+.5))
	if r.Mode == "http" {
		c.gauge("req_rate", int64(r.Rate+.5))
		c.gauge("req_rate_max", int64(r.RateMax+.5))
	}
}

// serving is what pools and servers have.
func (c record) serving(r *Row) {
	c.gauge("qcur", r.Queued)
	c.gauge("qmax", r.QueuedMax)
	c.limit("qlimit", r.QueueLimit)
	c.count("econ", r.ConnectErrors)
	c.count("eresp", r.AnswerErrors)
	c.count("wretr", r.Retries)
	c.count("wredis", r.Redispatches)
	c.gauge("weight", int64(r.Weight))
	c.gauge("uweight", int64(r.Configured))
	c.gauge("act", int64(r.Active))
	c.gauge("bck", int64(r.Backups))
	c.count("lbtot", uint64(max(r.Total, 0)))
	if r.Kind == Group || r.Probe.On {
		c.count("chkdown", r.Probe.Downs)
		c.seconds("downtime", r.Probe.Downtime)
	}
	if r.Since >= 0 {
		c.seconds("lastchg", r.Since)
	}
	c.count("cli_abrt", r.ClientAborts)
	c.count("srv_abrt", r.ServerAborts)
	c.ms("qtime", r.Queueing.Avg)
	c.ms("ctime", r.Connect.Avg)
	c.ms("rtime", r.Response.Avg)
	c.ms("ttime", r.Whole.Avg)
	c.text("algo", r.Algo)
	c.text("cookie", r.Cookie)
	if r.Kind == Group {
		c.count("dreq", r.Denied)
		c.count("dresp", 0)
	}
}

func (c record) server(r *Row) {
	c.text("addr", r.Address)
	c.limit("throttle", int64(r.Throttle))
	p := &r.Probe
	if !p.On {
		return
	}
	c.count("chkfail", p.Fails)
	c.gauge("check_rise", int64(p.Rise))
	c.gauge("check_fall", int64(p.Fall))
	c.gauge("check_health", int64(p.Health))
	last := p.Last()
	if last == nil {
		c.text("check_status", "INI")
		return
	}
	word, code, text := checkWord(last)
	c.text("check_status", word)
	c.limit("check_code", int64(code))
	c.count("check_duration", uint64(max(last.Took.Milliseconds(), 0)))
	c.text("check_desc", text)
	c.text("last_chk", last.Text)
}
