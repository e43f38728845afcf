package dsl_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

func load(files archive) (*config.Config, *dsl.Sources, diag.List) {
	return dsl.Load("Lbfile", files["Lbfile"], dsl.Options{Vocabulary: vocabulary(), Env: lookup, FS: files})
}

// TestFiles loads from the real file system: what cannot be read is said, and
// an import is sought beside the file that asks for it.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	good := write("Lbfile", "import sites/*.lb\n")
	write("sites/a.lb", "import ../b.lb\n")
	write("b.lb", "http://:80 {\n\ttls cert x.pem\n}\n")
	cfg, sources, list := dsl.Load(good, nil, dsl.Options{Vocabulary: vocabulary()})
	if len(list) > 0 {
		t.Fatal(list)
	}
	if _, ok := sources.Text(filepath.Join(dir, "b.lb")); !ok {
		t.Error("the text of the import is not kept")
	}
	cert := cfg.Sites[0].Body[0].Option("cert")
	if got := cert.Args[0].Path(); got != filepath.Join(dir, "x.pem") {
		t.Errorf("the certificate's path is %s", got)
	}
	for name, want := range map[string]string{
		filepath.Join(dir, "nowhere"): "no such file",
		dir:                           "is a directory",
		write("large.lb", strings.Repeat("# x\n", 5e6)): "larger than 16 MiB",
		write("c.lb", "import "+dir+"\n"):               "not an ordinary file",
		write("d.lb", "import large.lb\n"):              "larger than 16 MiB",
		write("e.lb", ""):                               "says nothing",
		write("f.lb", "# all of it is commented out\n"): "says nothing",
	} {
		cfg, _, list := dsl.Load(name, nil, dsl.Options{Vocabulary: vocabulary()})
		if cfg != nil || len(list) == 0 || !strings.Contains(list.Error(), want) {
			t.Errorf("%s: got %v, want %s", name, list, want)
		}
	}
}

// TestExplosion imports snippets that import each other twice over: 2^40
// statements, if they were expanded.
func TestExplosion(t *testing.T) {
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintf(&b, "(s%d) {\n\timport s%d\n\timport s%d\n}\n", i, i+1, i+1)
	}
	b.WriteString("(s30) {\n\tlog\n}\nhttp://:80 {\n\timport s0\n}\n")
	_, _, list := load(archive{"Lbfile": []byte(b.String())})
	if len(list) != 1 || list[0].Rule != "too-large" {
		t.Errorf("got %.300s", list.Error())
	}
}

// TestArgumentExplosion doubles the arguments of a snippet at each import.
func TestArgumentExplosion(t *testing.T) {
	var b strings.Builder
	for i := range 31 {
		fmt.Fprintf(&b, "(s%d) {\n\timport s%d {args.*} {args.*} {args.0}{args.0}\n}\n", i, i+1)
	}
	b.WriteString("(s31) {\n\trespond 200 {args.0}\n}\nhttp://:80 {\n\timport s0 aaaaaaaaaa\n}\n")
	_, _, list := load(archive{"Lbfile": []byte(b.String())})
	if !list.HasErrors() {
		t.Error("no error")
	}
}

// TestManyErrors cuts a long list, errors first.
func TestManyErrors(t *testing.T) {
	src := "http://:80 {\n" + strings.Repeat("\t@x client 10.0.0.1/8\n", 1) + strings.Repeat("\tnope\n", 100000) + "}\n"
	_, _, list := load(archive{"Lbfile": []byte(src)})
	if len(list) != dsl.MaxShown+1 || list[dsl.MaxShown].Message != "950 more diagnostics are not shown" {
		t.Errorf("%d diagnostics, the last one %v", len(list), list[len(list)-1])
	}
	for _, d := range list[:dsl.MaxShown] {
		if d.Severity != diag.Error {
			t.Errorf("a warning took the place of an error: %v", d)
		}
	}
}

// FuzzLoad looks for a file that makes loading panic or disagree with itself.
func FuzzLoad(f *testing.F) {
	names, _ := filepath.Glob("testdata/check/*.txtar")
	for _, name := range names {
		a, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range a.Files {
			if file.Name == "Lbfile" {
				f.Add(file.Data)
			}
		}
	}
	voc := vocabulary()
	f.Fuzz(func(t *testing.T, src []byte) {
		if src == nil {
			src = []byte{}
		}
		files := archive{"Lbfile": src, "a.lb": []byte("respond 200\nimport b.lb\n"), "b.lb": src}
		cfg, sources, list := dsl.Load("Lbfile", src, dsl.Options{Vocabulary: voc, Env: lookup, FS: files})
		if (cfg == nil) != list.HasErrors() || len(list) > dsl.MaxShown+1 {
			t.Fatalf("configuration %v, diagnostics %v", cfg, list)
		}
		var b bytes.Buffer
		if err := diag.Render(&b, list, sources, diag.Style{Color: true}); err != nil {
			t.Fatal(err)
		}
		for _, d := range list {
			if d.Message == "" || strings.Contains(d.Message, "\n") || d.Rule == "" {
				t.Fatalf("a poor diagnostic: %+v", d)
			}
		}
	})
}

// BenchmarkLoad checks ten thousand sites with a pool each.
func BenchmarkLoad(b *testing.B) {
	var s strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&s, "http://site%d.example.com {\n\tlog\n\t@img path /img/* *.png and not client 10.0.0.0/8\n\tproxy @img pool%d\n\tredirect /old /new\n\tproxy 10.0.0.1:80 10.0.0.2:80\n}\n", i, i)
		fmt.Fprintf(&s, "pool pool%d {\n\tbalance leastconn\n\thealth http GET /health interval 2s\n\tserver a 10.0.0.1:80 weight 2\n\tserver b 10.0.0.2:80\n}\n", i)
	}
	voc := vocabulary()
	src := []byte(s.String())
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, list := dsl.Load("Lbfile", src, dsl.Options{Vocabulary: voc, Env: lookup, FS: archive{}}); len(list) > 0 {
			b.Fatal(list)
		}
	}
}

var _ dsl.Files = archive{}
