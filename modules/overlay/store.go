package overlay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// FileName is what the changes are kept in, inside the state directory.
const FileName = "overlay.json"

// stored is the form of the file.
type stored struct {
	Version int      `json:"version"`
	Changes []Change `json:"changes"`
}

// maxFile bounds what is read of a file.
const maxFile = 64 << 20

// Keep has the changes kept in a state directory from now on, so that a restart
// keeps them, too; "" keeps them in memory only. While there are no changes yet,
// those of the file are taken up: before the first configuration is built, or, where a
// later one names the directory, in the one that is in force. What cannot be read is an
// error, and nothing is written over it.
func (o *Overlay) Keep(dir string) error {
	o.doing.Lock()
	defer o.doing.Unlock()
	if dir == "" {
		o.file = ""
		return nil
	}
	file := filepath.Join(dir, FileName)
	if file == o.file {
		return nil
	}
	if len(o.set.Load().kept) > 0 {
		o.file = file
		o.save()
		return nil
	}
	all, err := o.read(file)
	if err != nil {
		return fmt.Errorf("the changes made at run time cannot be taken up: %w", err)
	}
	if o.base.Load() != nil {
		if r := o.replace(newSet(all)); r != nil {
			return fmt.Errorf("the changes of %s cannot be taken up: %w", file, r)
		}
		o.file = file
		return nil
	}
	o.file = file
	o.put(newSet(all))
	o.schedule()
	return nil
}

func (o *Overlay) read(file string) ([]kept, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && info.Size() > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", file, maxFile)
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, err
	}
	var s stored
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if s.Version != 1 {
		return nil, fmt.Errorf("%s has the version %d; this Loadstar knows 1", file, s.Version)
	}
	return o.restoreAll(s.Changes), nil
}

// Export gives the changes that are kept, for a process that takes over.
func (o *Overlay) Export() []Change {
	set := o.set.Load()
	out := make([]Change, 0, len(set.kept))
	for i := range set.kept {
		out = append(out, set.kept[i].Change)
	}
	return out
}

// Import takes up the changes of a process that is replaced, in place of what the
// state directory may hold. It is for before the first configuration.
func (o *Overlay) Import(all []Change) {
	o.doing.Lock()
	defer o.doing.Unlock()
	o.put(newSet(o.restoreAll(all)))
	o.schedule()
}

// restoreAll checks changes that come from elsewhere; those that are none are
// logged and left out.
func (o *Overlay) restoreAll(all []Change) (out []kept) {
	for i := range all {
		if k, r := o.restore(&all[i]); r == nil {
			out = append(out, *k)
		} else {
			o.deps.Log.Warn("a change made at run time is not taken up", "change", i, "why", r)
		}
	}
	return out
}

// restore checks a change that was kept in a file.
func (o *Overlay) restore(c *Change) (*kept, *Refusal) {
	if r := c.plain(); r != nil {
		return nil, r
	}
	switch c.Kind {
	case Clear, Shut:
		return nil, &Refusal{Message: string(c.Kind) + " is not kept"}
	case Add:
		n, r := o.parse(c)
		if r != nil {
			return nil, r
		}
		return &kept{Change: *c, node: n}, nil
	}
	return &kept{Change: *c}, nil
}

// save writes the file anew, whole or not at all. That it cannot be written does
// not undo the change. It needs doing.
func (o *Overlay) save() {
	if o.file == "" {
		return
	}
	s := stored{Version: 1, Changes: o.Export()}
	if err := writeFile(o.file, s); err != nil {
		o.deps.Log.Error("changes made at run time will not survive a restart", "err", err)
	}
}

func writeFile(file string, s stored) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), FileName+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
