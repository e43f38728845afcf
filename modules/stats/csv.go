package stats

import (
	"io"
	"strconv"
	"strings"
)

// CSV is the media type that HAProxy gives its CSV.
const CSV = "text/plain; charset=utf-8"

// WriteCSV writes the snapshot as HAProxy's ";csv" has it: a header after "# ", a
// line a row, each ended by a comma as there.
func (s *Snapshot) WriteCSV(w io.Writer) error {
	b := append(make([]byte, 0, chunk+4096), "# "+strings.Join(columns, ",")+",\n"...)
	cells := make(record, len(columns))
	for r, at := range s.rows() {
		cells.fill(r, at)
		for i := range cells {
			if columns[i] == "-" {
				b = append(b, '-')
			} else {
				b = cells[i].appendCSV(b)
			}
			b = append(b, ',')
		}
		b = append(b, '\n')
		var err error
		if b, err = flush(w, b, chunk); err != nil {
			return err
		}
	}
	_, err := flush(w, b, 0)
	return err
}

// chunk is how much is gathered before it is written: the whole of it may be large.
const chunk = 64 << 10

func flush(w io.Writer, b []byte, above int) ([]byte, error) {
	if len(b) <= above {
		return b, nil
	}
	_, err := w.Write(b)
	return b[:0], err
}

func (c *cell) appendCSV(b []byte) []byte {
	switch c.kind {
	case text:
		return appendField(b, c.text)
	case number, small:
		return strconv.AppendUint(b, c.n, 10)
	case fraction:
		return strconv.AppendFloat(b, c.f, 'f', 3, 64)
	case empty:
	}
	return b
}

// appendField writes a text so that it is one field of one line (RFC 4180 §2), and
// so that a spreadsheet does not run it: names and what servers answer to probes
// may begin like a formula. Control characters become dots.
func appendField(b []byte, s string) []byte {
	quote := strings.ContainsAny(s, "\",\r\n")
	if quote {
		b = append(b, '"')
	}
	if strings.IndexByte("=+-@\t\r", s[0]) >= 0 {
		b = append(b, '\'')
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"':
			b = append(b, `""`...)
		case c < ' ' || c == 0x7f:
			b = append(b, '.')
		default:
			b = append(b, c)
		}
	}
	if quote {
		b = append(b, '"')
	}
	return b
}
