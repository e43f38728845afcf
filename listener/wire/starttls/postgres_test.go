package starttls

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func TestPostgres(t *testing.T) {
	for in, want := range map[string]Request{
		"":                                 NeedMore,
		"\x00\x00\x00\x08":                 NeedMore,
		"\x00\x00\x00\x08\x04\xd2\x16\x2f": TLS,
		"\x00\x00\x00\x08\x04\xd2\x16\x2f\x16\x03\x01": TLS,
		"\x00\x00\x00\x08\x04\xd2\x16\x30":             GSS,
		"\x00\x00\x00\x10\x04\xd2\x16\x2e":             Clear, // CancelRequest
		"\x00\x00\x00\x08\x04\xd2\x16\x2e":             Clear,
		"\x00\x00\x00\x54\x00\x03\x00\x00user":         Clear, // StartupMessage
		"\x00\x00\x00\x54":                             Clear,
		"\x00\x00\x01":                                 Clear,
		"\x16":                                         Hello,
		"GET / HTTP/1.1":                               Clear,
	} {
		if got := Postgres([]byte(in)); got != want {
			t.Errorf("%q: %d, want %d", in, got, want)
		}
	}
	if Postgres(PostgresRequest) != TLS {
		t.Error("what we ask is no request")
	}
}

// peer answers with fixed bytes.
type peer struct {
	io.Reader
	bytes.Buffer
}

func (p *peer) Read(b []byte) (int, error) { return p.Reader.Read(b) }

func TestAsk(t *testing.T) {
	for answer, want := range map[string]error{"S": nil, "Sxyz": nil, "N": ErrRefused, "E\x00": ErrRefused, "": io.EOF} {
		r := bytes.NewReader([]byte(answer))
		p := &peer{Reader: r}
		if err := Ask(p); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", answer, err, want)
		}
		if !bytes.Equal(p.Bytes(), PostgresRequest) {
			t.Errorf("%q was asked", p.Bytes())
		}
		if answer != "" && r.Len() != len(answer)-1 {
			t.Errorf("%q: %d bytes are left", answer, r.Len())
		}
	}
}

// What is not waited for is decided upon, and more bytes never change the decision.
func FuzzPostgres(f *testing.F) {
	f.Add(PostgresRequest)
	f.Add([]byte("\x00\x00\x00\x54\x00\x03\x00\x00user"))
	f.Fuzz(func(t *testing.T, b []byte) {
		decided := NeedMore
		for i := range len(b) + 1 {
			got := Postgres(b[:i])
			if decided != NeedMore && got != decided {
				t.Fatalf("%q: %d, then %d", b[:i], decided, got)
			}
			if decided = got; decided == NeedMore && i >= RequestBytes {
				t.Fatalf("%q is waited on", b[:i])
			}
		}
	})
}
