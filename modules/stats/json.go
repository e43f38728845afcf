package stats

import (
	"encoding/json"
	"io"
	"strconv"
)

// WriteJSON writes the snapshot as HAProxy's ";json" has it (its management guide,
// §9.1 and "show schema json"): a list of rows, each a list of its fields that are
// not empty.
func (s *Snapshot) WriteJSON(w io.Writer) error {
	b := append(make([]byte, 0, chunk+16384), '[')
	cells := make(record, len(columns))
	before := ""
	for r, at := range s.rows() {
		cells.fill(r, at)
		head := `{"objType":"` + [...]string{"Frontend", "Backend", "Server"}[r.Kind] + `","proxyId":` + strconv.Itoa(at.proxy) +
			`,"id":` + strconv.Itoa(at.id) + `,"field":{"pos":`
		b = append(append(b, before...), '[')
		before = ",\n"
		comma := ""
		for i := range cells {
			if cells[i].kind != empty {
				b = append(append(b, comma...), head...)
				b = cells[i].appendJSON(b, i, r.Kind)
				comma = ","
			}
		}
		b = append(b, ']')
		var err error
		if b, err = flush(w, b, chunk); err != nil {
			return err
		}
	}
	_, err := flush(w, append(b, "]\n"...), 0)
	return err
}

func (c *cell) appendJSON(b []byte, i int, kind Kind) []byte {
	name := columns[i]
	b = append(strconv.AppendInt(b, int64(i), 10), `,"name":"`...)
	b = append(append(b, name...), `"},"processNum":1,"tags":{`...)
	b = append(append(b, c.tags(name, kind)...), `},"value":{"type":"`...)
	switch c.kind {
	case text:
		b = append(b, `str","value":`...)
		quoted, err := json.Marshal(c.text) // escapes <, > and & too
		if err != nil {
			quoted = []byte(`""`)
		}
		b = append(b, quoted...)
	case number:
		b = strconv.AppendUint(append(b, `u64","value":`...), c.n, 10)
	case small:
		b = strconv.AppendUint(append(b, `u32","value":`...), c.n, 10)
	case fraction:
		b = strconv.AppendFloat(append(b, `flt","value":`...), c.f, 'f', 3, 64)
	case empty:
	}
	return append(b, "}}"...)
}

// jsonTags are the tags of the columns that are no plain counters and gauges.
var jsonTags = func() map[string]string {
	out := map[string]string{}
	for tags, names := range map[[3]string][]string{
		{"Key", "Name", "Service"}:      {"pxname", "svname"},
		{"Key", "Gauge", "Process"}:     {"pid"},
		{"Key", "Gauge", "Service"}:     {"iid", "sid"},
		{"Status", "Gauge", "Process"}:  {"status"},
		{"Config", "Limit", "Process"}:  {"slim", "qlimit"},
		{"Config", "Gauge", "Service"}:  {"type", "mode", "check_rise", "check_fall", "check_health"},
		{"Config", "Output", "Service"}: {"algo", "addr", "cookie", "ordered"},
		{"Metric", "Max", "Process"}:    {"qmax", "smax", "rate_max", "req_rate_max", "conn_rate_max"},
		{"Metric", "Rate", "Process"}:   {"rate", "req_rate", "conn_rate"},
		{"Metric", "Age", "Process"}:    {"lastchg"},
		{"Metric", "Avg", "Process"}: {"weight", "uweight", "qtime", "ctime", "rtime", "ttime", "throttle",
			"rtime_p50", "rtime_p90", "rtime_p99"},
		{"Metric", "Output", "Process"}:   {"check_status", "check_code", "check_desc", "last_chk"},
		{"Metric", "Duration", "Process"}: {"check_duration"},
		{"Metric", "Counter", "Process"}:  {"downtime"},
	} {
		for _, name := range names {
			out[name] = `"origin":"` + tags[0] + `","nature":"` + tags[1] + `","scope":"` + tags[2] + `"`
		}
	}
	return out
}()

func (c *cell) tags(name string, kind Kind) string {
	const (
		counter = `"origin":"Metric","nature":"Counter","scope":"Process"`
		gauge   = `"origin":"Metric","nature":"Gauge","scope":"Process"`
	)
	switch name { // where HAProxy makes a difference by the kind of row
	case "act", "bck":
		if kind == Server {
			return jsonTags["status"]
		}
	case "rate", "rate_max":
		if kind == Group {
			return gauge
		}
	}
	switch t, ok := jsonTags[name]; {
	case ok:
		return t
	case c.kind == number:
		return counter
	default:
		return gauge
	}
}
