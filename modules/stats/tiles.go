package stats

import "strconv"

// appendTiles appends the sum of it all.
func (s *Snapshot) appendTiles(b []byte) []byte {
	perSecond, failing, servers, down := 0.0, 0, 0, 0
	for i := range s.Sites {
		perSecond += s.Sites[i].Rate
	}
	for i := range s.Pools {
		if !s.Pools[i].Total.State.Good() {
			failing++
		}
		servers += len(s.Pools[i].Servers)
		for j := range s.Pools[i].Servers {
			if !s.Pools[i].Servers[j].State.Good() {
				down++
			}
		}
	}
	tile := func(value func([]byte) []byte, name string) {
		b = append(append(value(append(b, "<li><b>"...)), "</b><span>"+name...), "</span></li>"...)
	}
	tile(func(b []byte) []byte { return rate(b, perSecond) }, "a second")
	tile(func(b []byte) []byte {
		b = amount(b, uint64(max(s.Connections, 0)))
		if s.ConnLimit > 0 {
			b = amount(append(b, " / "...), uint64(s.ConnLimit))
		}
		return b
	}, "connections")
	tile(func(b []byte) []byte {
		return amount(append(amount(b, uint64(servers-down)), " / "...), uint64(servers))
	}, "servers good")
	tile(func(b []byte) []byte {
		if failing > 0 {
			return append(amount(append(b, `<span class="nz">▼ `...), uint64(failing)), "</span>"...)
		}
		return append(b, "none"...)
	}, "pools in trouble")
	tile(func(b []byte) []byte { return strconv.AppendUint(append(b, '#'), s.Generation, 10) }, s.loaded())
	tile(func(b []byte) []byte { return ago(b, s.At.Sub(s.Started)) }, "running, process "+strconv.Itoa(s.PID))
	return b
}

func (s *Snapshot) loaded() string {
	text := "configuration, for " + string(ago(nil, s.At.Sub(s.Loaded)))
	if s.Draining > 0 {
		text += ", " + strconv.Itoa(s.Draining) + " draining"
	}
	return text
}
