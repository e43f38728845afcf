package lsp

import "encoding/json"

// The messages of LSP 3.17, as far as they are used here.

type message struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
}

type response struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  any             `json:"result"`
}

type failure struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Error   *fault          `json:"error"`
}

type notification struct {
	Version string `json:"jsonrpc"`
	Method  string `json:"method"`
	Params  any    `json:"params"`
}

// fault is the error of an answer.
type fault struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (f *fault) Error() string { return f.Message }

// The codes of JSON-RPC 2.0 and of the protocol.
const (
	codeParse          = -32700
	codeInvalidRequest = -32600
	codeUnknownMethod  = -32601
	codeInvalidParams  = -32602
	codeNotInitialized = -32002
	codeRequestFailed  = -32803
)

type position struct {
	Line      int `json:"line"`
	Character int `json:"character"`
}

type rangeOf struct {
	Start position `json:"start"`
	End   position `json:"end"`
}

type location struct {
	URI   string  `json:"uri"`
	Range rangeOf `json:"range"`
}

type textEdit struct {
	Range   rangeOf `json:"range"`
	NewText string  `json:"newText"`
}

type workspaceEdit struct {
	Changes map[string][]textEdit `json:"changes"`
}

type documentID struct {
	URI string `json:"uri"`
}

type openParams struct {
	TextDocument struct {
		URI  string `json:"uri"`
		Text string `json:"text"`
	} `json:"textDocument"`
}

type changeParams struct {
	TextDocument   documentID `json:"textDocument"`
	ContentChanges []struct {
		Range *rangeOf `json:"range"`
		Text  string   `json:"text"`
	} `json:"contentChanges"`
}

// placeParams are those of every request about a place in a document.
type placeParams struct {
	TextDocument documentID `json:"textDocument"`
	Position     position   `json:"position"`
	NewName      string     `json:"newName"` // of rename
	Context      struct {
		IncludeDeclaration bool `json:"includeDeclaration"` // of references
	} `json:"context"`
}

type actionParams struct {
	TextDocument documentID `json:"textDocument"`
	Range        rangeOf    `json:"range"`
}

type initializeParams struct {
	RootURI          string `json:"rootUri"`
	WorkspaceFolders []struct {
		URI string `json:"uri"`
	} `json:"workspaceFolders"`
}

type diagnostic struct {
	Range    rangeOf   `json:"range"`
	Severity int       `json:"severity"`
	Code     string    `json:"code,omitempty"`
	Source   string    `json:"source"`
	Message  string    `json:"message"`
	Related  []related `json:"relatedInformation,omitempty"`
}

type related struct {
	Location location `json:"location"`
	Message  string   `json:"message"`
}

type publishParams struct {
	URI         string       `json:"uri"`
	Diagnostics []diagnostic `json:"diagnostics"`
}

type markup struct {
	Kind  string `json:"kind"`
	Value string `json:"value"`
}

func markdown(text string) *markup {
	if text == "" {
		return nil
	}
	return &markup{Kind: "markdown", Value: text}
}

type completionItem struct {
	Label         string   `json:"label"`
	Kind          int      `json:"kind"`
	Detail        string   `json:"detail,omitempty"`
	Documentation *markup  `json:"documentation,omitempty"`
	TextEdit      textEdit `json:"textEdit"`
}

// Kinds of completion items.
const (
	kindFunction = 3  // a directive
	kindVariable = 6  // a matcher that the file defines
	kindModule   = 9  // a pool or a table
	kindProperty = 10 // an option
	kindValue    = 12 // a variant
	kindKeyword  = 14 // a matcher word, and the words of the language itself
	kindSnippet  = 15
	kindFile     = 17
	kindEnum     = 20
	kindConstant = 21 // a placeholder
)

type hover struct {
	Contents *markup `json:"contents"`
	Range    rangeOf `json:"range"`
}

type symbol struct {
	Name      string   `json:"name"`
	Detail    string   `json:"detail,omitempty"`
	Kind      int      `json:"kind"`
	Range     rangeOf  `json:"range"`
	Selection rangeOf  `json:"selectionRange"`
	Children  []symbol `json:"children,omitempty"`
}

// Kinds of symbols.
const (
	symbolModule    = 2
	symbolNamespace = 3
	symbolClass     = 5
	symbolMethod    = 6
	symbolField     = 8
	symbolFunction  = 12
	symbolVariable  = 13
	symbolStruct    = 23
	symbolEvent     = 24
)

type codeAction struct {
	Title string        `json:"title"`
	Kind  string        `json:"kind"`
	Edit  workspaceEdit `json:"edit"`
}

// capabilities is what the server says that it can do.
var capabilities = map[string]any{
	"capabilities": map[string]any{
		"positionEncoding": "utf-16",
		"textDocumentSync": map[string]any{
			"openClose": true,
			"change":    1, // full
			"save":      true,
		},
		"completionProvider":         map[string]any{"triggerCharacters": []string{" ", "@", "{", "."}},
		"hoverProvider":              true,
		"definitionProvider":         true,
		"referencesProvider":         true,
		"documentHighlightProvider":  true,
		"documentSymbolProvider":     true,
		"documentFormattingProvider": true,
		"codeActionProvider":         map[string]any{"codeActionKinds": []string{"quickfix"}},
		"renameProvider":             map[string]any{"prepareProvider": true},
	},
	"serverInfo": map[string]any{"name": "lbfmt lsp"},
}
