package persistence

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestTableEntriesAndClear(t *testing.T) {
	const minute = int64(time.Minute)
	tab := NewTable(8192, 10*time.Minute)
	for i := range 300 {
		tab.Put([]byte{192, 0, byte(i / 256), byte(i)}, fmt.Sprintf("s%d", i%3), minute)
	}
	tab.Put([]byte{10, 0, 0, 1}, "old", -10*minute)
	if size, expire := tab.Limits(); size != 8192 || expire != 10*time.Minute {
		t.Errorf("limits %d, %v", size, expire)
	}
	all := func(EntryInfo) bool { return true }
	got, n := tab.Entries(IPKeys, 2*minute, 10, all)
	if len(got) != 10 || n != 300 || got[0].Idle != time.Minute || got[0].Left != 9*time.Minute || !strings.HasPrefix(got[0].Key, "192.0.") {
		t.Errorf("%d of %d: %+v", len(got), n, got[0])
	}
	if n := tab.Clear(IPKeys, func(key, _ string) bool { return key == "192.0.1.3" }); n != 1 {
		t.Errorf("%d cleared by key", n)
	}
	if n := tab.Clear(IPKeys, func(_, server string) bool { return server == "s1" }); n != 99 {
		t.Errorf("%d cleared by server", n)
	}
	if tab.Get([]byte{192, 0, 0, 1}, 2*minute) != "" || tab.Get([]byte{192, 0, 0, 2}, 2*minute) != "s2" {
		t.Error("the wrong ones were cleared")
	}
	if _, n := tab.Entries(IPKeys, 2*minute, 10, all); n != 200 {
		t.Errorf("%d left", n)
	}
	tab.Clear(IPKeys, func(string, string) bool { return true })
	if tab.Len() != 0 {
		t.Errorf("%d left", tab.Len())
	}
	tab.Put([]byte{1, 2, 3, 4}, "again", minute) // the lists are whole
	if tab.Get([]byte{1, 2, 3, 4}, minute) != "again" {
		t.Error("lost")
	}
}

func TestKeyText(t *testing.T) {
	long := strings.Repeat("k", 300)
	tab := NewTable(10, 0)
	tab.Put([]byte(long), "s", 1)
	got, _ := tab.Entries(StringKeys, 1, 1, func(EntryInfo) bool { return true })
	if len(got) != 1 || !strings.HasPrefix(got[0].Key, "#") || len(got[0].Key) != 65 || got[0].Left >= 0 {
		t.Errorf("a long key is shown as %+v", got)
	}
	for in, want := range map[string]string{"abc": "abc", "a\nb": `a\x0ab`, "é": "é", "\xff": `\xff`, "a\x1b[2J": `a\x1b[2J`} {
		if got := KeyText(StringKeys, in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := KeyText(IPKeys, "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"); got != "2001:db8::1" {
		t.Error(got)
	}
}
