package stats

import (
	"hash/fnv"
	"strconv"
	"time"
)

// Page says how a snapshot is shown to somebody.
type Page struct {
	View View
	// Self is the address of the page itself, without options, relative to
	// where it stands: "./lb-stats".
	Self string
	// Token lets whoever was given the page ask for actions; "" : there are none.
	Token string
	User  string // who has signed in, "" for nobody
	Note  string // what became of an action, "" for nothing
	Bad   bool   // the note is about something that went wrong
	// Refresh is after how long a browser without JavaScript asks again; 0: never.
	Refresh time.Duration
}

// AppendHTML appends the whole page.
func (s *Snapshot) AppendHTML(b []byte, p *Page) []byte {
	b = append(b, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>"...)
	b = append(escape(b, s.Node), " – Loadstar statistics</title>\n"...)
	b = append(b, `<meta name="viewport" content="width=device-width,initial-scale=1">`+"\n"+`<meta name="robots" content="noindex">`+"\n"+icon...)
	if p.Refresh > 0 {
		b = append(b, `<noscript><meta http-equiv="refresh" content="`...)
		b = append(strconv.AppendInt(b, int64(p.Refresh/time.Second), 10), "\"></noscript>\n"...)
	}
	b = append(append(append(b, "<style>"...), style...), "</style>\n</head>\n<body data-live=\""...)
	b = append(escape(append(escape(b, p.Self), ";live?"...), p.View.Query()), "\">\n"...)
	b = append(b, "<a class=\"skip\" href=\"#list\">To the list</a>\n<header>\n<h1>Loadstar <small>on "...)
	b = escape(b, s.Node)
	if p.User != "" {
		b = append(escape(append(b, " · signed in as "...), p.User), ""...)
	}
	b = append(b, " · <span id=\"live\" role=\"status\">not live</span></small></h1>\n"...)
	if p.Note != "" {
		class := "note"
		if p.Bad {
			class = "note bad"
		}
		b = append(escape(append(b, `<p class="`+class+`" role="alert">`...), p.Note), "</p>\n"...)
	}
	b = p.filter(b)
	b = append(b, "</header>\n<main id=\"list\">\n"...)
	b = s.AppendList(b, p)
	b = append(b, "</main>\n<footer>\n<p><a href=\""...)
	b = append(escape(b, p.Self), `;csv">CSV</a> · <a href="`...)
	b = append(escape(b, p.Self), `;json">JSON</a> · Loadstar `...)
	b = append(escape(b, s.Version), "</p>\n</footer>\n<script>"...)
	return append(append(b, script...), "</script>\n</body>\n</html>\n"...)
}

// filter is a form, which works without a script.
func (p *Page) filter(b []byte) []byte {
	v := &p.View
	b = append(b, "<form class=\"f\" method=\"get\" action=\""...)
	b = append(escape(b, p.Self), "\" role=\"search\">\n<label>Find<input type=\"search\" name=\"q\" maxlength=\"100\" value=\""...)
	b = append(escape(b, v.Text), "\" placeholder=\"name or address\"></label>\n<label>Show<select name=\"state\">"...)
	for _, f := range Filters {
		b = append(b, `<option value="`+f[0]+`"`...)
		if f[0] == v.State {
			b = append(b, " selected"...)
		}
		b = append(b, ">"+f[1]+"</option>"...)
	}
	b = append(b, "</select></label>\n<label>Sort by<select name=\"sort\"><option value=\"\">as configured</option>"...)
	for _, s := range Sorts {
		b = append(b, `<option value="`+s+`"`...)
		if s == v.Sort {
			b = append(b, " selected"...)
		}
		b = append(b, ">"+s+"</option>"...)
	}
	b = append(b, "</select></label>\n<button>Show</button>"...)
	if v.Text != "" || v.State != "" || v.Sort != "" {
		b = append(escape(append(b, ` <a href="`...), p.Self), `">Show all</a>`...)
	}
	return append(b, "\n</form>\n"...)
}

// AppendList appends what changes: the tiles, the sites and the pools.
func (s *Snapshot) AppendList(b []byte, p *Page) []byte {
	chosen := s.choose(p.View)
	b = append(append(b, `<ul class="tiles" id="tiles">`...), s.appendTiles(nil)...)
	b = append(b, "</ul>\n"...)
	if chosen.page == 1 && len(chosen.sites) > 0 {
		b = append(b, "<section aria-labelledby=\"h-sites\">\n<h2 id=\"h-sites\">Sites</h2>\n"...)
		b = p.table(b, "Sites")
		for _, r := range chosen.sites {
			b = p.tr(b, r)
		}
		b = append(b, "</tbody></table></div>\n</section>\n"...)
	}
	for i := range chosen.pools {
		b = p.pool(b, &chosen.pools[i])
	}
	if len(chosen.sites) == 0 && len(chosen.pools) == 0 {
		b = append(b, "<p class=\"note\">Nothing here is like that.</p>\n"...)
	}
	return p.pager(b, &chosen)
}

func (p *Page) pool(b []byte, part *part) []byte {
	r := part.total
	id := RowID(r)
	b = append(b, "<section aria-labelledby=\"h-"+id+"\">\n<h2 id=\"h-"+id+"\">"...)
	b = append(escape(b, r.Group), " <small>"...)
	b = append(strconv.AppendInt(b, int64(part.all), 10), " servers"...)
	if part.all == 1 {
		b = b[:len(b)-1]
	}
	if len(part.servers) != part.all {
		b = append(strconv.AppendInt(append(b, ", "...), int64(len(part.servers)), 10), " of them here"...)
	}
	if r.Algo != "" {
		b = escape(append(b, " · "...), r.Algo)
	}
	b = append(b, "</small></h2>\n"...)
	act := p.Token != "" && len(part.servers) > 0
	if act {
		b = append(b, "<form method=\"post\" action=\""...)
		b = append(escape(append(escape(b, p.Self), "?"...), p.View.Query()), "\">\n<input type=\"hidden\" name=\"token\" value=\""...)
		b = append(escape(b, p.Token), "\"><input type=\"hidden\" name=\"pool\" value=\""...)
		b = append(escape(b, r.Group), "\">\n"...)
	}
	b = p.table(b, "Servers of "+r.Group)
	for _, s := range part.servers {
		b = p.tr(b, s)
	}
	b = append(p.tr(b, r), "</tbody></table></div>\n"...)
	if act {
		b = append(b, actions...)
	}
	return append(b, "</section>\n"...)
}

// actions are what can be done with the servers whose boxes are ticked.
const actions = `<div class="act"><span>With the chosen servers:</span>
<button name="action" value="drain">Drain</button>
<button name="action" value="maint">Maintenance</button>
<button name="action" value="ready">Ready</button>
<button name="action" value="shut">Shut sessions</button>
<label>Weight <input type="number" name="weight" min="0" max="256" value="1"></label>
<button name="action" value="weight">Set weight</button></div>
</form>
`

// heads are the columns with what sorts them.
var heads = [...]struct{ title, sort string }{
	{"Name", "name"}, {"Status", "status"}, {"Weight", "weight"}, {"Sessions", "sessions"}, {"Rate /s", "rate"},
	{"Queue", "queue"}, {"Bytes in, out", "bytes"}, {"Answers", "answers"}, {"Errors", "errors"}, {"Retries", "retries"},
	{"Last check", "check"}, {"Time to answer", "time"},
}

func (p *Page) table(b []byte, caption string) []byte {
	b = append(escape(append(b, "<div class=\"scroll\"><table>\n<caption>"...), caption), "</caption>\n<thead><tr>"...)
	for i, h := range heads {
		v := p.View
		v.Page, v.Sort, v.Up = 1, h.sort, p.View.Sort == h.sort && !p.View.Up
		b = append(b, "<th scope=\"col\""...)
		if i < 2 {
			b = append(b, " class=\"l\""...)
		}
		mark := ""
		if p.View.Sort == h.sort {
			if mark = " ▼"; p.View.Up {
				mark = " ▲"
			}
			if p.View.Up == (h.sort == "name") { // names sort from a to z at first
				b = append(b, ` aria-sort="descending"`...)
			} else {
				b = append(b, ` aria-sort="ascending"`...)
			}
		}
		b = append(append(b, "><a href=\"?"...), escape(nil, v.Query())...)
		b = append(b, "\">"+h.title+mark+"</a></th>"...)
	}
	return append(b, "</tr></thead>\n<tbody>\n"...)
}

// pager links the pages, if there are several.
func (p *Page) pager(b []byte, c *selection) []byte {
	if c.pages == 1 {
		return b
	}
	b = append(b, "<nav class=\"p\" aria-label=\"Pages\"><span>Page "...)
	b = append(strconv.AppendInt(b, int64(c.page), 10), " of "...)
	b = append(strconv.AppendInt(b, int64(c.pages), 10), ", "...)
	b = append(amount(b, uint64(c.servers)), " servers</span>"...)
	link := func(page int, title string) {
		v := p.View
		v.Page = page
		b = append(b, "\n<a href=\"?"...)
		b = append(append(b, escape(nil, v.Query())...), "\">"+title+"</a>"...)
	}
	if c.page > 1 {
		link(1, "First")
		link(c.page-1, "Back")
	}
	if c.page < c.pages {
		link(c.page+1, "Next")
		link(c.pages, "Last")
	}
	return append(b, "</nav>\n"...)
}

// RowID gives a row's id in the page: the same for the same server over reloads.
func RowID(r *Row) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte{byte(r.Kind)})
	_, _ = h.Write([]byte(r.Group))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(r.Name))
	return "r" + strconv.FormatUint(h.Sum64(), 36)
}
