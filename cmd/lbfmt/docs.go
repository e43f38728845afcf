package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/dsl/lint"
	"github.com/loadstar-lb/loadstar/dsl/reference"
	"github.com/loadstar-lb/loadstar/modules"
)

// generated is every file that is made from the vocabulary, by its path under
// the directory of documents.
func generated() (map[string]string, error) {
	v := modules.Standard().Vocabulary()
	files := map[string]string{}
	for name, text := range reference.Pages(v, lintRules()) {
		files[filepath.Join("reference", name)] = text
	}
	textmate, err := reference.TextMate(v)
	if err != nil {
		return nil, err
	}
	files[filepath.Join("editors", "lbfile.tmLanguage.json")] = textmate
	files[filepath.Join("editors", "lbfile.vim")] = reference.Vim(v)
	return files, nil
}

// lintRules gives the linter's rules for their page.
func lintRules() []reference.Rule {
	var out []reference.Rule
	for _, r := range lint.Rules() {
		// A page is a heading, the summary, and what else there is to say.
		parts := strings.SplitN(r.Page(), "\n\n", 3)
		long := ""
		if len(parts) == 3 {
			long = parts[2]
		}
		out = append(out, reference.Rule{Name: r.Name, Severity: r.Severity.String(), Doc: r.Summary(), Long: long})
	}
	return out
}

func docsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "docs DIR",
		Short: "Write the reference pages and the grammar files to a directory",
		Long:  "docs writes the reference pages and the grammar files to a directory, and removes pages there that it made earlier and that are no more.",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			files, err := generated()
			if err != nil {
				return err
			}
			return writeDocs(args[0], files)
		},
	}
}

func writeDocs(dir string, files map[string]string) error {
	old, err := filepath.Glob(filepath.Join(dir, "reference", "*.md"))
	if err != nil {
		return err
	}
	for _, name := range old {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if _, ok := files[rel]; err != nil || ok || !strings.HasPrefix(string(text), "<!-- Generated ") {
			continue
		}
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
