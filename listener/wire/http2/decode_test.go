package http2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

func good(name, value []byte) bool { return !bytes.ContainsRune(append(name, value...), '!') }

// decoded gives the fields of blocks as x/net and as we decode them, and the first
// error of each.
func decoded(blocks [][]byte) (ours, theirs []string, ourErr, theirErr error) {
	d := NewDecoder(func(f *Field) {
		ours = append(ours, fmt.Sprintf("%q %q", f.Name, f.Value))
		if f.ID != flow.LookupBytes(f.Name) || f.Good != good(bytes.Clone(f.Name), f.Value) {
			ours = append(ours, fmt.Sprintf("%v %v", f.ID, f.Good))
		}
	}, func(name, value []byte) bool { return good(bytes.Clone(name), value) })
	o := hpack.NewDecoder(TableSize, func(f hpack.HeaderField) { theirs = append(theirs, fmt.Sprintf("%q %q", f.Name, f.Value)) })
	for i, b := range blocks {
		if ourErr == nil {
			cut := i * len(b) / len(blocks) // in two pieces
			if ourErr = d.Write(b[:cut], false); ourErr == nil {
				ourErr = d.Write(b[cut:], true)
			}
		}
		if theirErr == nil {
			if _, theirErr = o.Write(b); theirErr == nil {
				theirErr = o.Close()
			}
		}
	}
	return ours, theirs, ourErr, theirErr
}

// What x/net's encoder makes, through tables of changing sizes, we read as x/net does.
func TestDecode(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	names := []string{":status", ":path", "content-type", "x-a", "x-long-name", "cookie", "date", "!odd"}
	for round := range 200 {
		var buf bytes.Buffer
		e := hpack.NewEncoder(&buf)
		var blocks [][]byte
		for range 20 {
			buf.Reset()
			if r.IntN(5) == 0 {
				e.SetMaxDynamicTableSize(uint32(r.IntN(TableSize + 1)))
			}
			for range 1 + r.IntN(9) {
				n := r.IntN(30)
				if r.IntN(20) == 0 {
					n = r.IntN(5000)
				}
				value := make([]byte, n)
				for i := range value {
					value[i] = byte(r.IntN(256))
				}
				if r.IntN(2) == 0 {
					value = []byte(strings.Repeat("v", r.IntN(8)))
				}
				_ = e.WriteField(hpack.HeaderField{Name: names[r.IntN(len(names))], Value: string(value), Sensitive: r.IntN(9) == 0})
			}
			blocks = append(blocks, bytes.Clone(buf.Bytes()))
		}
		ours, theirs, ourErr, theirErr := decoded(blocks)
		if ourErr != nil || theirErr != nil {
			t.Fatalf("round %d: %v, %v", round, ourErr, theirErr)
		}
		if len(ours) != len(theirs) {
			t.Fatalf("round %d: %d fields, want %d", round, len(ours), len(theirs))
		}
		for i := range ours {
			if ours[i] != theirs[i] {
				t.Fatalf("round %d, field %d: %s, want %s", round, i, ours[i], theirs[i])
			}
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	for name, block := range map[string][]byte{
		"index 0":                  {0x80},
		"index beyond the tables":  {0x80 | 62},
		"name beyond the tables":   {0x40 | 62, 1, 'a'},
		"integer without end":      {0xff, 0x80},
		"integer too long":         {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"string without end":       {0x40, 3, 'a'},
		"no value":                 {0x40, 1, 'a'},
		"no string":                {0x40},
		"padding of eight bits":    {0x40, 1, 'a', 0x82, 0x1f, 0xff},
		"padding that is not ones": {0x40, 1, 'a', 0x81, 0x18},
		"EOS":                      {0x40, 1, 'a', 0x84, 0xff, 0xff, 0xff, 0xff},
		"a larger table":           {0x3f, 0xe2, 0x1f},
		"a size behind a field":    {0x82, 0x20},
		"what the size has taken":  {0x40, 1, 'a', 1, 'b', 0x40 | 63, 1, 'c'},
		"an entry larger than all": append(append([]byte{0x40, 1, 'a', 0x7f, 0xa1, 0x1f}, make([]byte, 4096)...), 0xbe),
	} {
		d := NewDecoder(func(*Field) {}, func(_, _ []byte) bool { return true })
		if err := d.Write(block, true); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Decoding allocates nothing: not for literals, not for Huffman codes, not for the table.
func TestDecodeAllocations(t *testing.T) {
	var buf bytes.Buffer
	e := hpack.NewEncoder(&buf)
	n := 0
	d := NewDecoder(func(*Field) { n++ }, func(_, _ []byte) bool { return true })
	block := func(i int) []byte {
		buf.Reset()
		for k := range 8 {
			_ = e.WriteField(hpack.HeaderField{Name: fmt.Sprintf("x-%d", k), Value: fmt.Sprintf("value %d of %d", i%200, k)})
		}
		return bytes.Clone(buf.Bytes())
	}
	var blocks [][]byte
	for i := range 2200 {
		blocks = append(blocks, block(i))
	}
	i := 0
	next := func() {
		if d.Write(blocks[i], true) != nil {
			t.Fatal("not decoded")
		}
		i++
	}
	for range 1000 {
		next()
	}
	if a := testing.AllocsPerRun(1000, next); a > 0 {
		t.Errorf("%v allocations a block", a)
	}
	if n != 8*i {
		t.Errorf("%d fields of %d", n, 8*i)
	}
}

// FuzzDecode: nothing panics, and what we take x/net takes for the same.
func FuzzDecode(f *testing.F) {
	var buf bytes.Buffer
	e := hpack.NewEncoder(&buf)
	for i := range 5 {
		_ = e.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
		_ = e.WriteField(hpack.HeaderField{Name: "x-a", Value: strings.Repeat("b", i*40)})
		f.Add(bytes.Clone(buf.Bytes()))
	}
	f.Add([]byte{0x20, 0x3f, 0x01, 0x82, 0xbe})
	f.Fuzz(func(t *testing.T, data []byte) {
		half := len(data) / 2
		ours, theirs, err, theirErr := decoded([][]byte{data[:half], data[half:]})
		if err != nil {
			return
		}
		if theirErr != nil {
			// x/net takes no second change of the size, which RFC 7541 §4.2 wants.
			if strings.Contains(theirErr.Error(), "table size update MUST") {
				return
			}
			t.Fatalf("taken, but: %v", theirErr)
		}
		if strings.Join(ours, "\n") != strings.Join(theirs, "\n") {
			t.Fatalf("%s\nwant\n%s", ours, theirs)
		}
	})
}

// BenchmarkDecode reads a browser's head, of which two fields are new each time.
func BenchmarkDecode(b *testing.B) {
	var buf bytes.Buffer
	e := hpack.NewEncoder(&buf)
	block := func(i int) []byte {
		buf.Reset()
		for _, f := range [][2]string{
			{":method", "GET"}, {":scheme", "https"}, {":authority", "www.example.com"}, {":path", fmt.Sprintf("/path/%d", i)},
			{"user-agent", "Mozilla/5.0 (X11; Linux x86_64)"}, {"accept", "text/html,application/xhtml+xml"}, {"accept-language", "en"},
			{"accept-encoding", "gzip, br"}, {"cookie", "session=0123456789abcdef"}, {"x-request-id", fmt.Sprint(i * 7919)},
		} {
			_ = e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: f[0] == ":path" || f[0] == "x-request-id"})
		}
		return bytes.Clone(buf.Bytes())
	}
	first, again := block(1), block(2)
	b.Run("ours", func(b *testing.B) {
		d := NewDecoder(func(*Field) {}, func(_, _ []byte) bool { return true })
		_ = d.Write(first, true)
		b.ReportAllocs()
		for b.Loop() {
			_ = d.Write(again, true)
		}
	})
	b.Run("x/net", func(b *testing.B) {
		d := hpack.NewDecoder(TableSize, func(hpack.HeaderField) {})
		_, _ = d.Write(first)
		b.ReportAllocs()
		for b.Loop() {
			_, _ = d.Write(again)
		}
	})
}
