package http3

import "slices"

// Settings are what one side of a connection says of itself (RFC 9114 §7.2.4), as
// far as it means something here.
type Settings struct {
	HeadBytes uint64 // the largest field section that is taken; 0: nothing is said
	Extended  bool   // extended CONNECT is taken (RFC 9220 §3)
}

// AppendControl begins a control stream with settings.
func AppendControl(b []byte, s Settings) []byte {
	var p []byte
	if s.HeadBytes > 0 {
		p = AppendVarint(AppendVarint(p, SettingHeaders), s.HeadBytes)
	}
	if s.Extended {
		p = AppendVarint(AppendVarint(p, SettingExtended), 1)
	}
	b = AppendVarint(b, StreamControl)
	return append(AppendFrame(b, FrameSettings, uint64(len(p))), p...)
}

// AppendGoAway appends a GOAWAY frame (RFC 9114 §7.2.6).
func AppendGoAway(b []byte, id uint64) []byte {
	v := AppendVarint(nil, id)
	return append(AppendFrame(b, FrameGoAway, uint64(len(v))), v...)
}

// maxSettings bounds how many settings there may be: a handful is known.
const maxSettings = 64

// ParseSettings reads what a SETTINGS frame holds; e is the connection's error, 0
// for none.
func ParseSettings(p []byte) (s Settings, e Code) {
	var seen []uint64
	for len(p) > 0 {
		id, n := Varint(p)
		v, m := Varint(p[n:])
		switch {
		case n == 0 || m == 0:
			return s, CodeFrame
		case slices.Contains(seen, id), id >= 2 && id <= 5, id == SettingExtended && v > 1: // 2 to 5 are HTTP/2's (RFC 9114 §7.2.4.1)
			return s, CodeSettings
		case len(seen) >= maxSettings:
			return s, CodeLoad
		}
		p, seen = p[n+m:], append(seen, id)
		switch id {
		case SettingHeaders:
			s.HeadBytes = v
		case SettingExtended:
			s.Extended = v == 1
		}
	}
	return s, 0
}
