// Package lint holds the rules that find what a configuration will do wrong
// although every word of it is legal: a request that no route takes, a server
// that is never asked, a password for everyone to read.
//
// One rule is one file, named for it, with one page (rules/NAME.md) and one
// fixture (testdata/NAME.txtar) of a configuration that it hits and one that it
// must not. Rules that are reported while the language is checked or the graph is
// built are listed with their pages all the same (owners.go); they are not
// written a second time here.
//
// A rule reports only what is certain. What it cannot see through, such as a
// regular expression, a placeholder or a word it does not know, silences it.
//
//   - lint.go: rules and their run; pragma.go: `# lint:ignore`; fix.go: mending.
//   - pass.go: what rules ask of a configuration.
//   - request.go, eval.go, pattern.go, cover.go: whether a made-up request is
//     taken, and whether one condition contains another, in three values.
package lint
