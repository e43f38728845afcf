package flow

import "io"

// Copy moves n bytes, or all if n is negative, from src to dst through buf. It
// gives how many were moved, and the first error of either side; that src ends,
// even before n bytes, is none. Unlike io.CopyBuffer it lets neither side take
// the copying over: it is what a Relay that cannot splice falls back on.
func Copy(dst io.Writer, src io.Reader, n int64, buf []byte) (moved int64, err error) {
	for n < 0 || moved < n {
		p := buf
		if n >= 0 {
			p = p[:min(int64(len(p)), n-moved)]
		}
		m, rerr := src.Read(p)
		if m > 0 {
			if _, err := dst.Write(p[:m]); err != nil {
				return moved, err
			}
			moved += int64(m)
		}
		if rerr == io.EOF {
			return moved, nil
		}
		if rerr != nil {
			return moved, rerr
		}
	}
	return moved, nil
}
