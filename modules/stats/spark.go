package stats

import (
	"strconv"

	"github.com/loadstar-lb/loadstar/modules/measure"
)

// The size of a sparkline in pixels, two for each sample; and of a probe's mark.
const (
	sparkStep   = 2
	sparkWidth  = sparkStep * (measure.Samples - 1)
	sparkHeight = 22
	markWidth   = 5
	markHeight  = 14
)

// spark appends a drawing of the rate, the newest on the right, with what failed
// as bars below. Its words are for who cannot see it.
func spark(b []byte, samples []Sample) []byte {
	if len(samples) < 2 {
		return b
	}
	samples = samples[max(0, len(samples)-measure.Samples):]
	left := sparkWidth - sparkStep*(len(samples)-1)
	top := uint32(1)
	for _, s := range samples {
		top = max(top, s.Rate, s.Failed)
	}
	width := strconv.Itoa(sparkWidth)
	b = append(b, `<svg width="`+width+`" height="22" role="img" aria-label="a second, lately: at most `...)
	b = strconv.AppendUint(b, uint64(top), 10)
	b = append(b, `"><polyline class="r" points="`...)
	b = append(strconv.AppendInt(b, int64(left), 10), ",23"...)
	for i, s := range samples {
		b = strconv.AppendInt(append(b, ' '), int64(left+i*sparkStep), 10)
		b = strconv.AppendInt(append(b, ','), int64(sparkHeight-1-height(s.Rate, top)), 10)
	}
	b = append(b, ` `+width+`,23"/>`...)
	for i, s := range samples {
		if s.Failed == 0 {
			continue
		}
		h := max(2, height(s.Failed, top))
		b = append(b, `<rect class="e" width="2" x="`...)
		b = strconv.AppendInt(b, int64(max(0, left+i*sparkStep-1)), 10)
		b = append(b, `" y="`...)
		b = strconv.AppendInt(b, int64(sparkHeight-h), 10)
		b = append(b, `" height="`...)
		b = append(strconv.AppendInt(b, int64(h), 10), `"/>`...)
	}
	return append(b, "</svg>"...)
}

func height(v, top uint32) int { return int(uint64(v) * (sparkHeight - 3) / uint64(top)) }

// history appends a mark a probe, the newest on the right: one that passed is
// tall, one that failed is short and lies below, so that colours are not needed.
func history(b []byte, checks []Check) []byte {
	if len(checks) == 0 {
		return b
	}
	failed := 0
	for _, c := range checks {
		if !c.Good {
			failed++
		}
	}
	width := strconv.Itoa(len(checks) * markWidth)
	b = append(b, `<svg width="`+width+`" height="14" role="img" aria-label="`...)
	b = strconv.AppendInt(b, int64(failed), 10)
	b = append(b, " of the last "...)
	b = strconv.AppendInt(b, int64(len(checks)), 10)
	b = append(b, ` checks failed">`...)
	for i, c := range checks {
		class, y, h := "ok", 0, markHeight
		if !c.Good {
			class, y, h = "no", markHeight-5, 5
		}
		b = append(b, `<rect class="`+class+`" width="3" x="`...)
		b = append(strconv.AppendInt(b, int64(i*markWidth), 10), `" y="`...)
		b = append(strconv.AppendInt(b, int64(y), 10), `" height="`...)
		b = append(strconv.AppendInt(b, int64(h), 10), `"/>`...)
	}
	return append(b, "</svg>"...)
}
