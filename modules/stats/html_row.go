package stats

import (
	"strconv"
	"time"
)

// looks gives each state a colour's class and a symbol, so that no state is known
// by its colour alone.
var looks = [...]struct{ class, symbol string }{
	Open: {"s-up", "●"}, Up: {"s-up", "▲"}, Doubtful: {"s-warn", "◆"}, Down: {"s-bad", "▼"}, Draining: {"s-calm", "◐"},
	Maint: {"s-calm", "■"}, Ejected: {"s-bad", "⊘"}, Unchecked: {"s-up", "◇"}, Full: {"s-warn", "◉"},
}

// tr appends a row with its frame.
func (p *Page) tr(b []byte, r *Row) []byte {
	b = append(b, `<tr id="`+RowID(r)+`"`...)
	if r.Kind == Group {
		b = append(b, ` class="total"`...)
	}
	return append(p.cells(append(b, '>'), r), "</tr>\n"...)
}

// cells appends what is in a row; the events of a live page carry just this.
func (p *Page) cells(b []byte, r *Row) []byte {
	b = p.name(b, r)
	look := looks[r.State]
	b = append(b, `<td class="l" data-l="Status"><span class="s `+look.class+`"><span aria-hidden="true">`+look.symbol+`</span> `...)
	b = append(escape(b, r.Status), "</span>"...)
	b = since(b, r)
	b = append(b, "</td>"...)
	b = r.weights(b)
	b = r.sessions(b)
	b = append(rate(append(b, `<td data-l="Rate /s">`...), r.Rate), "<small>max "...)
	b = append(rate(b, r.RateMax), "</small>"...)
	b = append(spark(b, r.Samples), "</td>"...)
	b = r.queue(b)
	b = append(size(append(b, `<td data-l="Bytes in, out">`...), r.BytesIn), "<small>"...)
	b = append(size(b, r.BytesOut), "</small></td>"...)
	b = r.answers(b)
	b = r.errors(b)
	b = amount(append(b, `<td data-l="Retries">`...), r.Retries)
	if r.Redispatches > 0 {
		b = append(amount(append(b, "<small>"...), r.Redispatches), " elsewhere</small>"...)
	}
	b = append(b, "</td>"...)
	b = r.check(b)
	return r.times(b)
}

func (p *Page) name(b []byte, r *Row) []byte {
	b = append(b, `<th scope="row">`...)
	switch {
	case p.Token != "" && r.Kind == Server:
		id := RowID(r)
		b = append(b, `<input type="checkbox" name="s" id="c`+id+`" value="`...)
		b = append(escape(b, r.Name), `"> <label for="c`+id+`">`...)
		b = append(escape(b, r.Name), "</label>"...)
	case r.Kind == Group:
		b = append(b, "All together"...)
	case r.Kind == Server:
		b = escape(b, r.Name)
	default:
		b = escape(b, r.Group)
	}
	if r.Backup {
		b = append(b, ` <span class="dim">backup</span>`...)
	}
	if r.Address != "" && r.Address != r.Group {
		b = append(escape(append(b, ` <span class="dim">`...), r.Address), "</span>"...)
	}
	return append(b, "</th>"...)
}

func since(b []byte, r *Row) []byte {
	if r.Since >= 0 && r.Kind != Site {
		b = append(ago(append(b, "<small>for "...), r.Since), "</small>"...)
	}
	if r.Ordered != "" {
		b = append(escape(append(b, "<small>ordered: "...), r.Ordered), "</small>"...)
	}
	if r.Probe.Downs > 0 {
		b = append(amount(append(b, "<small>was down "...), r.Probe.Downs), "×, "...)
		b = append(ago(b, r.Probe.Downtime), "</small>"...)
	}
	return b
}

// none is a cell that makes no sense for a row; a phone does not show it.
const none = `<td class="x">–</td>`

func (r *Row) weights(b []byte) []byte {
	if r.Kind == Site {
		return append(b, none...)
	}
	b = strconv.AppendInt(append(b, `<td data-l="Weight">`...), int64(r.Weight), 10)
	switch {
	case r.Kind == Group:
		b = append(strconv.AppendInt(append(b, "<small>"...), int64(r.Active), 10), " usable"...)
		if r.Backups > 0 {
			b = append(strconv.AppendInt(append(b, " + "...), int64(r.Backups), 10), " backup"...)
		}
		b = append(b, "</small>"...)
	case r.Throttle > 0:
		b = append(strconv.AppendInt(append(b, "<small>slow start "...), int64(r.Throttle), 10), " %</small>"...)
	case r.Weight != r.Configured:
		b = append(strconv.AppendInt(append(b, "<small>of "...), int64(r.Configured), 10), "</small>"...)
	}
	return append(b, "</td>"...)
}

func (r *Row) sessions(b []byte) []byte {
	b = append(amount(append(b, `<td data-l="Sessions">`...), uint64(max(r.Current, 0))), "<small>max "...)
	b = amount(b, uint64(max(r.Max, 0)))
	if r.Limit > 0 {
		b = amount(append(b, " of "...), uint64(r.Limit))
	}
	b = amount(append(b, "</small><small>"...), uint64(max(r.Total, 0)))
	return append(b, " in all</small></td>"...)
}

func (r *Row) queue(b []byte) []byte {
	b = append(amount(append(b, `<td data-l="Queue">`...), uint64(max(r.Queued, 0))), "<small>max "...)
	b = amount(b, uint64(max(r.QueuedMax, 0)))
	if r.QueueLimit > 0 {
		b = amount(append(b, " of "...), uint64(r.QueueLimit))
	}
	return append(b, "</small></td>"...)
}

func (r *Row) answers(b []byte) []byte {
	if r.Mode != "http" {
		return append(b, none...)
	}
	b = append(amount(append(b, `<td data-l="Answers">`...), r.Classes[2]), " 2xx"...)
	for i, name := range [...]string{1: "1xx", 3: "3xx", 4: "4xx", 5: "5xx"} {
		if i > 0 && i != 2 && r.Classes[i] > 0 {
			class := ""
			if i == 5 {
				class = ` class="nz"`
			}
			b = append(amount(append(b, "<small"+class+">"...), r.Classes[i]), " "+name+"</small>"...)
		}
	}
	return append(b, "</td>"...)
}

func (r *Row) errors(b []byte) []byte {
	all := r.Errors()
	if b = append(b, `<td data-l="Errors">`...); all == 0 {
		return append(b, "0</td>"...)
	}
	b = append(amount(append(b, `<span class="nz">`...), all), "</span>"...)
	for _, e := range [...]struct {
		name string
		n    uint64
	}{
		{"denied", r.Denied}, {"bad requests", r.BadRequests}, {"queue", r.QueueErrors}, {"connect", r.ConnectErrors},
		{"answer", r.AnswerErrors}, {"client left", r.ClientAborts}, {"server broke off", r.ServerAborts}, {"internal", r.Internal},
	} {
		if e.n > 0 {
			b = append(amount(append(b, "<small>"...), e.n), " "+e.name+"</small>"...)
		}
	}
	return append(b, "</td>"...)
}

func (r *Row) check(b []byte) []byte {
	c := r.Probe.Last()
	if c == nil {
		return append(b, none...)
	}
	word, code, _ := checkWord(c)
	b = append(b, `<td data-l="Last check"><span title="`...)
	b = append(escape(append(escape(b, c.Text), `">`...), word), ' ')
	if code > 0 {
		b = append(strconv.AppendInt(b, int64(code), 10), ' ')
	}
	b = tookText(append(b, "</span><small>"...), c.Took)
	if c.Ago >= time.Minute { // older than probes are, as a rule
		b = append(ago(append(b, ", "...), c.Ago), " ago"...)
	}
	b = append(b, "</small>"...)
	return append(history(b, r.Probe.History), "</td>"...)
}

func (r *Row) times(b []byte) []byte {
	t := &r.Response
	if r.Mode != "http" {
		t = &r.Whole
	}
	if t.P99 == 0 {
		return append(b, none...)
	}
	b = append(b, `<td data-l="Time to answer">`...)
	for i, q := range [...]struct {
		name string
		d    time.Duration
	}{{"half", t.P50}, {"p90", t.P90}, {"p99", t.P99}} {
		if i > 0 {
			b = append(b, "<small>"...)
		}
		b = tookText(append(b, q.name+" "...), q.d)
		if i > 0 {
			b = append(b, "</small>"...)
		}
	}
	return append(b, "</td>"...)
}
