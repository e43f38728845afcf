package man

import (
	"bytes"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/modules"
)

// render has groff typeset a page; it must have nothing to complain of.
func render(t *testing.T, page string) string {
	t.Helper()
	if _, err := exec.LookPath("groff"); err != nil {
		t.Skip("SKIP: groff is not installed")
	}
	cmd := exec.Command("groff", "-man", "-Tutf8", "-ww", "-P-c", "-P-b", "-P-u", "-rLL=200n")
	cmd.Stdin = strings.NewReader(page)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil || errs.Len() > 0 {
		t.Fatalf("groff: %v\n%s", err, errs.String())
	}
	return regexp.MustCompile(`[‐−]`).ReplaceAllString(strings.Join(strings.Fields(out.String()), " "), "-")
}

// Every word of the language stands in lbfile(5), as it is written.
func TestLanguage(t *testing.T) {
	v := modules.Standard().Vocabulary()
	page := Language(v, "1.0")
	text := render(t, page)
	for i := range v.Directives {
		w := &v.Directives[i]
		if !strings.Contains(text, w.Name) || w.Example != "" && !strings.Contains(text, strings.Join(strings.Fields(w.Example), " ")) {
			t.Errorf("%s, or its example, does not stand in the page: %s", w.Name, w.Example)
		}
	}
	for i := range v.Matchers {
		if !strings.Contains(text, v.Matchers[i].Name) {
			t.Errorf("matcher %s does not stand in the page", v.Matchers[i].Name)
		}
	}
	for _, ph := range v.Placeholders {
		if !strings.Contains(text, "{"+ph.Name+"}") {
			t.Errorf("placeholder %s does not stand in the page", ph.Name)
		}
	}
	if strings.Contains(text, "`") || strings.Contains(text, "](") {
		t.Error("Markdown came through")
	}
}

func TestCommand(t *testing.T) {
	root := &cobra.Command{Use: "tool", Short: "A tool"}
	sub := &cobra.Command{
		Use: "do [FILE]", Short: "Do it", Long: "Do `it` to a file.\n\n.Even one with a dot: C:\\new 'x'.\n\n- one\n- two",
		Run: func(*cobra.Command, []string) {}, Example: "tool do --fast -n 3",
	}
	sub.Flags().IntP("number", "n", 7, "how `often`")
	sub.Flags().Bool("fast", false, "in a hurry")
	sub.Flags().Bool("secret", false, "not shown")
	_ = sub.Flags().MarkHidden("secret")
	root.AddCommand(sub, &cobra.Command{Use: "hidden", Hidden: true, Run: func(*cobra.Command, []string) {}})
	page := Command(root, "1.0", Extra{"Files", "`/etc/x`: the file"})
	text := render(t, page)
	for _, want := range []string{
		"tool - A tool", "tool do [FILE]", "Do it to a file.", `.Even one with a dot: C:\new 'x'.`, "• one", "-n, --number OFTEN",
		"how often (default 7)", "--fast in a hurry", "tool do --fast -n 3", "FILES", "/etc/x: the file", "loadstar 1.0",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
	for _, not := range []string{"secret", "hidden"} {
		if strings.Contains(text, not) {
			t.Errorf("%q is shown", not)
		}
	}
}
