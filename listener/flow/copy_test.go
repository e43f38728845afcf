package flow

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestCopy(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name string
		src  io.Reader
		n    int64
		want string
		err  error
	}{
		{"all", strings.NewReader("hello"), -1, "hello", nil},
		{"none", strings.NewReader("hello"), 0, "", nil},
		{"a part", strings.NewReader("hello"), 4, "hell", nil},
		{"ends early", strings.NewReader("hello"), 9, "hello", nil},
		{"by the byte", iotest.OneByteReader(strings.NewReader("hello")), 5, "hello", nil},
		{"end with data", iotest.DataErrReader(strings.NewReader("hello")), -1, "hello", nil},
		{"breaks", io.MultiReader(strings.NewReader("hel"), iotest.ErrReader(broken)), -1, "hel", broken},
	} {
		var b bytes.Buffer
		moved, err := Copy(&b, c.src, c.n, make([]byte, 3))
		if b.String() != c.want || moved != int64(len(c.want)) || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %d, %v", c.name, &b, moved, err)
		}
	}
	if _, err := Copy(cannotWrite{broken}, strings.NewReader("hello"), -1, make([]byte, 3)); !errors.Is(err, broken) {
		t.Error(err)
	}
}

type cannotWrite struct{ err error }

func (w cannotWrite) Write([]byte) (int, error) { return 0, w.err }
