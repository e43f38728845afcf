package file

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// rotation bounds what a file and those before it take of the disk: (keep + 1) ×
// size. The zero value rotates nothing.
type rotation struct {
	size int64 // bytes; 0: none
	keep int   // files kept beside the one in use: PATH.1, the newest, to PATH.keep
	age  time.Duration
}

func rotateWord() spec.Word {
	return spec.Word{
		Name: "rotate", Example: "rotate size 100MB keep 5 age 24h",
		Doc: "Begin a new file when this one is full or old; PATH.1 is then the one before it.",
		Long: "No more than (keep + 1) × size is ever used: a file that cannot be moved away costs lines, which are " +
			"counted and told about, not disk space. Nothing is compressed.",
		Options: []spec.Word{
			{Name: "size", Default: "100MB", Doc: "How large a file may become.", Example: "size 100MB", Args: []spec.Arg{
				{Name: "SIZE", Kind: spec.Size, Min: 1 << 16, Doc: "bytes; at least 64KiB"},
			}},
			{Name: "keep", Default: "5", Doc: "How many older files stay.", Example: "keep 5", Args: []spec.Arg{
				{Name: "N", Kind: spec.Int, Min: 1, Max: 1000, Doc: "files"},
			}},
			{Name: "age", Doc: "How old a file may become, counted from its creation.", Example: "age 24h", Args: []spec.Arg{
				{Name: "DURATION", Kind: spec.Duration, Min: int64(time.Second), Doc: "time"},
			}},
		},
	}
}

// rotationOf reads the option, as a Key holds it.
func rotationOf(n *config.Node) string {
	o := n.Option("rotate")
	if o == nil {
		return ""
	}
	return fmt.Sprintf("%d %d %d", o.OptionInt("size"), o.OptionInt("keep"), o.OptionInt("age"))
}

func parseRotation(text string) rotation {
	f := strings.Fields(text)
	if len(f) != 3 {
		return rotation{}
	}
	size, _ := strconv.ParseInt(f[0], 10, 64) // written by rotationOf
	keep, _ := strconv.Atoi(f[1])
	age, _ := strconv.ParseInt(f[2], 10, 64)
	return rotation{size, keep, time.Duration(age)}
}

// begin notes what the file that was opened has in it, and since when.
func (t *target) begin(fd int) error {
	var err error
	t.size, t.born, err = birth(fd)
	return err
}

// due reports whether n more bytes belong into a new file.
func (t *target) due(n int) bool {
	r := &t.rotation
	if r.size == 0 || t.slow || t.begun > 0 || t.size == 0 {
		return false
	}
	return t.size+int64(n) > r.size || r.age > 0 && time.Since(t.born) >= r.age
}

// rotate moves the file to PATH.1, that one to PATH.2 and so on, and begins anew. The
// oldest is replaced, so that there is never one more than there may be.
func (t *target) rotate() error {
	for i := t.rotation.keep; i > 0; i-- {
		from := t.path
		if i > 1 {
			from += "." + strconv.Itoa(i-1)
		}
		err := os.Rename(from, t.path+"."+strconv.Itoa(i))
		if err != nil && !(i > 1 && errors.Is(err, os.ErrNotExist)) {
			return err
		}
	}
	return t.Reopen()
}
