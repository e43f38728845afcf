package listener

import (
	"testing"
	"time"
)

// A flood is logged in part, and how much was not is told by what is.
func TestRefusalsAreBounded(t *testing.T) {
	var r refusals
	now := int64(1)
	logged, told := 0, uint64(0)
	for i := range 10_000 { // over ten seconds and a bit
		held, ok := r.note(now + int64(i)*int64(time.Millisecond))
		if ok {
			logged, told = logged+1, told+held
		}
	}
	if logged != 10*refusalsLogged || told != 9*(1000-refusalsLogged) {
		t.Errorf("%d lines tell of %d more", logged, told)
	}
	held, ok := r.note(now + int64(time.Hour))
	if !ok || held != 1000-refusalsLogged {
		t.Errorf("an hour later: %d %v", held, ok)
	}
	if held, ok = r.note(now + int64(time.Hour)); !ok || held != 0 {
		t.Errorf("told twice: %d %v", held, ok)
	}
}
