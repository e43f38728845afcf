package lint_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/dsl/lint"
)

// unlisted are rules of which no page would help anybody.
var unlisted = map[string]string{
	"cancelled": "a load that nobody waits for any more", "more": "how many diagnostics are not shown",
	"duplicate-directive": "the checker has said so before", "no-store": "no rule but the value of a field",
	"bad-json": "an order to the admin endpoint, not a configuration",
}

var ruleName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)

// TestEveryRuleIsListed reads the sources of all packages that report
// diagnostics: the name of each must be in the table, and so have a page.
func TestEveryRuleIsListed(t *testing.T) {
	found := 0
	for _, root := range []string{"../../dsl", "../../modules", "../../logging", "../../cmd/loadstar"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				name := reported(n)
				if name == "" {
					return true
				}
				found++
				if _, ok := unlisted[name]; !ok && lint.Find(name) == nil {
					t.Errorf("%s reports %s, which has no page: list it in owners.go, and write rules/%s.md", path, name, name)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 100 {
		t.Errorf("only %d reports were found", found)
	}
}

// reported gives the rule that a call or a literal reports, "" if none.
func reported(n ast.Node) string {
	switch n := n.(type) {
	case *ast.KeyValueExpr:
		if id, ok := n.Key.(*ast.Ident); ok && (id.Name == "Rule" || id.Name == "rule") {
			return ruleOf(n.Value)
		}
	case *ast.CallExpr:
		name := ""
		switch f := n.Fun.(type) {
		case *ast.SelectorExpr:
			name = f.Sel.Name
		case *ast.Ident:
			name = f.Name
		}
		switch name {
		case "Add", "errorf", "warnf", "warn", "failure", "add":
			for _, a := range n.Args[:min(2, len(n.Args))] {
				if r := ruleOf(a); r != "" {
					return r
				}
			}
		}
	}
	return ""
}

func ruleOf(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	s, err := strconv.Unquote(lit.Value)
	if err != nil || !ruleName.MatchString(s) {
		return ""
	}
	return s
}
