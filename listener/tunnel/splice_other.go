//go:build !linux

package tunnel

// pipe is Linux's alone; elsewhere bulk streams are copied like small ones.
type pipe struct{}

func (d *direction) spliceOnce(uintptr) (more, leave bool) {
	d.raw.noSplice = true
	return true, false
}

func (*pipe) into(uintptr, int) (int, error) { return 0, nil }

func (d *direction) dropPipe() {}
