package upstream

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

func TestChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLive()
		if _, ok := l.Checks.Last(); ok {
			t.Error("a probe before the first")
		}
		for i := range keptChecks + 4 {
			l.Checks.Note(Check{At: flow.Now(), Good: i%2 == 0, Text: fmt.Sprint(i)})
		}
		all := l.Checks.History(nil)
		if len(all) != keptChecks || all[0].Text != "4" || all[keptChecks-1].Text != "19" {
			t.Errorf("remembered: %v", all)
		}
		if k, ok := l.Checks.Last(); !ok || k.Text != "19" || k.Good {
			t.Errorf("the last one: %v", k)
		}
		l.SetVerdict(Down, "")
		time.Sleep(time.Minute)
		if c := l.Checks.Counts(flow.Now()); c.Down != time.Minute || c.Falls != 1 || c.Made != 20 || c.Failed != 10 {
			t.Errorf("while down: %+v", c)
		}
		l.SetVerdict(Up, "")
		time.Sleep(time.Minute)
		l.Presume(nil, Down) // nobody found it down: no fall, but no server either
		time.Sleep(time.Minute)
		l.SetVerdict(Up, "")
		if c := l.Checks.Counts(flow.Now()); c.Down != 2*time.Minute || c.Falls != 1 {
			t.Errorf("afterwards: %+v", c)
		}
	})
}
