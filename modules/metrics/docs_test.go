package metrics

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

const docs = "../../docs/monitoring/"

// exposed is every series that a scrape has, with its labels: of histograms those
// of the classic form.
func exposed(t *testing.T) map[string][]string {
	t.Helper()
	text, _ := scrape(t, busy(2, 2), 0, "")
	out := map[string][]string{}
	for name, mf := range parseText(t, text) {
		all := []string{"instance", "job"} // the scraper's own
		for _, m := range mf.Metric {
			for _, l := range m.Label {
				if !slices.Contains(all, l.GetName()) {
					all = append(all, l.GetName())
				}
			}
		}
		if mf.Metric[0].Histogram == nil {
			out[name] = all
			continue
		}
		out[name+"_bucket"] = append(slices.Clone(all), "le")
		out[name+"_sum"], out[name+"_count"] = all, all
	}
	return out
}

// reporter is what of testing.T takes faults.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// noted counts faults.
type noted struct{ n int }

func (*noted) Helper()                 {}
func (c *noted) Errorf(string, ...any) { c.n++ }

// checkExpr parses an expression and looks for what it names.
func checkExpr(t reporter, where, expr string, known map[string][]string) {
	t.Helper()
	e, err := parser.ParseExpr(expr)
	if err != nil {
		t.Errorf("%s: %v\n%s", where, err, expr)
		return
	}
	found := 0
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			found++
			has, ok := known[n.Name]
			if !ok {
				t.Errorf("%s: nothing is called %s", where, n.Name)
				return nil
			}
			for _, m := range n.LabelMatchers {
				if m.Name != "__name__" && !slices.Contains(has, m.Name) {
					t.Errorf("%s: %s has no label %s", where, n.Name, m.Name)
				}
			}
		case *parser.AggregateExpr:
			parser.Inspect(n.Expr, func(inner parser.Node, _ []parser.Node) error {
				if v, ok := inner.(*parser.VectorSelector); ok {
					for _, l := range n.Grouping {
						if has, ok := known[v.Name]; ok && !slices.Contains(has, l) {
							t.Errorf("%s: %s cannot be grouped by %s", where, v.Name, l)
						}
					}
				}
				return nil
			})
		}
		return nil
	})
	if found == 0 {
		t.Errorf("%s looks at nothing: %s", where, expr)
	}
}

func TestAlerts(t *testing.T) {
	b, err := os.ReadFile(docs + "alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(b, false, model.UTF8Validation) // what promtool does
	for _, err := range errs {
		t.Error(err)
	}
	known, n := exposed(t), 0
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			n++
			checkExpr(t, r.Alert, r.Expr, known)
			if r.Alert == "" || r.Annotations["summary"] == "" || r.Labels["severity"] == "" {
				t.Errorf("%s says too little", r.Alert)
			}
		}
	}
	if n < 10 {
		t.Errorf("%d rules", n)
	}
	if _, errs := rulefmt.Parse([]byte(strings.Replace(string(b), "absent(", "absent((", 1)), false, model.UTF8Validation); len(errs) == 0 {
		t.Error("the check takes anything")
	}
}

func TestDashboard(t *testing.T) {
	b, err := os.ReadFile(docs + "dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	type target struct{ Expr, RefID string }
	var d struct {
		Title, UID string
		Panels     []struct {
			ID      int
			Title   string
			Type    string
			GridPos struct{ X, Y, W, H int }
			Targets []target
		}
		Templating struct {
			List []struct{ Name, Type, Definition string }
		}
		Annotations struct{ List []struct{ Name, Expr string } }
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	known := exposed(t)
	values := []string{"$__rate_interval", "5m"}
	for _, v := range d.Templating.List {
		values = append(values, "$"+v.Name, "x")
		if v.Type != "query" {
			continue
		}
		inner, label, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(v.Definition, "label_values("), ")"), ", ")
		name, _, _ := strings.Cut(inner, "{")
		if has := known[name]; !ok || !slices.Contains(has, label) {
			t.Errorf("the values of $%s come from %s", v.Name, v.Definition)
		}
	}
	fill := strings.NewReplacer(values...)
	check := func(where, expr string) {
		text := fill.Replace(expr)
		if strings.Contains(text, "$") {
			t.Errorf("%s: a variable that is not there: %s", where, expr)
		}
		checkExpr(t, where, text, known)
	}
	ids := map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || p.GridPos.X+p.GridPos.W > 24 || p.GridPos.H == 0 || (len(p.Targets) == 0) != (p.Type == "row") {
			t.Errorf("panel %d %q", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, q := range p.Targets {
			check(p.Title+" "+q.RefID, q.Expr)
		}
	}
	for _, a := range d.Annotations.List {
		check(a.Name, a.Expr)
	}
	if len(d.Panels) < 20 || d.UID == "" {
		t.Errorf("%d panels of %q", len(d.Panels), d.Title)
	}
}

// TestCheckExpr: the check above can fail.
func TestCheckExpr(t *testing.T) {
	known := map[string][]string{"a_total": {"x"}}
	for _, expr := range []string{"rate(b_total[5m])", `a_total{y="1"}`, "sum by (y) (a_total)", "sum(", "1+1"} {
		c := &noted{}
		checkExpr(c, "", expr, known)
		if c.n == 0 {
			t.Errorf("%s was taken", expr)
		}
	}
}
