// Package lsp is a language server for Lbfiles: it speaks the Language Server
// Protocol 3.17 (https://microsoft.github.io/language-server-protocol/) over a
// pair of streams. It knows no words itself; what it proposes and explains is
// the vocabulary it is given.
//
// Everything happens in one goroutine, in the order of the messages; another
// one only reads. Texts are kept whole (full synchronisation). A file that
// another one imports is judged as a part of that one.
//
//   - server.go: the loop and the dispatch; wire.go the framing; protocol.go
//     the messages; text.go places, which the protocol counts in UTF-16.
//   - files.go: open documents over the files of the system; project.go which
//     files belong together; publish.go their diagnostics.
//   - line.go: what the words of one line are; index.go the same for whole
//     projects: names, and where they are defined and used.
//   - complete.go (locate.go: what is in front of a
//     place), hover.go, definition.go, navigate.go, outline.go, edits.go: the answers.
package lsp
