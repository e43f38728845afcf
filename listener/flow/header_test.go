package flow

import (
	"slices"
	"strings"
	"testing"
)

// model is a header as a plain list.
type model [][2]string

func (m model) set(name, value string) model {
	for i := range m {
		if strings.EqualFold(m[i][0], name) {
			m[i][1] = value
			return append(m[:i+1:i+1], m[i+1:].del(name)...)
		}
	}
	return append(m, [2]string{name, value})
}

func (m model) del(name string) model {
	var out model
	for _, f := range m {
		if !strings.EqualFold(f[0], name) {
			out = append(out, f)
		}
	}
	return out
}

func (m model) get(name string) (string, bool) {
	for _, f := range m {
		if strings.EqualFold(f[0], name) {
			return f[1], true
		}
	}
	return "", false
}

// FuzzHeader runs operations, one a byte, against the model.
func FuzzHeader(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	f.Add([]byte("some text that adds, deletes and sets quite a few fields of all sorts"))
	names := []string{"Host", "host", "X-A", "x-a", "COOKIE", "X-Forwarded-For", "Set-Cookie", "X-B", "X-Real-IP"}
	f.Fuzz(func(t *testing.T, ops []byte) {
		var h Header
		var m model
		base := []byte("HOST: base\r\nX-A: lies in the base\r\n")
		h.Reset(base)
		h.AddSpan(FieldHost, 0, 4, 6, 4)
		h.AddSpan(Unknown, 12, 3, 17, 16)
		m = model{{"HOST", "base"}, {"X-A", "lies in the base"}}
		for i, op := range ops[:min(len(ops), 300)] {
			name, value := names[int(op)/8%len(names)], strings.Repeat("v", i%5)
			switch op % 8 {
			case 0:
				h.Add(name, value)
				m = append(m, [2]string{name, value})
			case 1:
				h.AddBytes([]byte(name), []byte(value))
				m = append(m, [2]string{name, value})
			case 2:
				h.Set(name, value)
				m = m.set(name, value)
			case 3:
				h.SetBytes(name, []byte(value))
				m = m.set(name, value)
			case 4:
				h.Del(name)
				m = m.del(name)
			case 5:
				if id := Lookup(name); id != Unknown {
					h.DelID(id)
					m = m.del(name)
				}
			case 6:
				for i := range h.Len() {
					if _, n, _, ok := h.At(i); ok && EqualFold(n, name) {
						h.Extend(i, []byte("+"))
						break
					}
				}
				for i := range m {
					if strings.EqualFold(m[i][0], name) {
						m[i][1] += "+"
						break
					}
				}
			case 7:
				moved := slices.Clone(base)
				h.Rebase(moved)
			}
		}
		var got model
		for n, v := range h.All() {
			got = append(got, [2]string{string(n), string(v)})
		}
		if !slices.Equal(got, m) {
			t.Fatalf("%v\nwant %v", got, m)
		}
		for _, name := range names {
			want, ok := m.get(name)
			v := h.Get(name)
			if (v != nil) != ok || string(v) != want {
				t.Fatalf("Get(%q) = %q, want %q", name, v, want)
			}
			if id := Lookup(name); id != Unknown && (h.HasID(id) != ok || string(h.GetID(id)) != want) {
				t.Fatalf("GetID(%q) = %q, want %q", name, h.GetID(id), want)
			}
			n := 0
			for range h.Values(name) {
				n++
			}
			if len(m)-len(slices.Clone(m).del(name)) != n {
				t.Fatalf("%d values of %q", n, name)
			}
		}
		var c Header
		c.CopyFrom(&h)
		i := 0
		for n, v := range c.All() {
			if m[i] != [2]string{string(n), string(v)} {
				t.Fatalf("copied %q: %q", n, v)
			}
			i++
		}
	})
}

func TestLookup(t *testing.T) {
	for id := FieldHost; id < idCount; id++ {
		for _, n := range []string{id.Name(), strings.ToLower(id.Name()), strings.ToUpper(id.Name())} {
			if got := Lookup(n); got != id {
				t.Errorf("%s has the ID of %s", n, got.Name())
			}
		}
		if Lookup(id.Name()+"x") != Unknown || Lookup(strings.ReplaceAll(id.Name(), "-", "_")+"_") != Unknown {
			t.Errorf("something near %s has an ID", id.Name())
		}
		if len(id.Name()) > maxKnown {
			t.Errorf("%s is too long to be found", id.Name())
		}
	}
	if id := tombstone; id.Name() != "" || ID(0).Name() != "" {
		t.Error("no field has a name")
	}
}

// FuzzLookup: a name has an ID exactly when it is one of the known ones.
func FuzzLookup(f *testing.F) {
	f.Add("host")
	f.Add("X-FORWARDED-for")
	f.Fuzz(func(t *testing.T, name string) {
		want := Unknown
		for id := FieldHost; id < idCount; id++ {
			if EqualFold(name, id.Name()) {
				want = id
			}
		}
		if got := LookupBytes([]byte(name)); got != want {
			t.Errorf("%q has the ID of %q", name, got.Name())
		}
	})
}

func TestHeaderAllocations(t *testing.T) {
	var h Header
	value := []byte("some value")
	if n := testing.AllocsPerRun(100, func() {
		h.Reset(nil)
		h.Add("X-A", "b")
		h.AddID(FieldXForwardedFor, value)
		h.SetBytes("X-A", value)
		h.SetBytes("X-B", value)
		h.Extend(0, value)
		h.DelID(FieldXForwardedFor)
		if h.Get("x-a") == nil || h.Del("X-B") != 1 {
			t.Fatal("not there")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
