package persistence

import (
	"math"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// tableOptions bound a table.
func tableOptions() []spec.Word {
	return []spec.Word{
		{Name: "size", Doc: "how many clients are remembered; beyond, those not seen for the longest time are forgotten", Default: "100000",
			Args: []spec.Arg{{Name: "N", Kind: spec.Int, Min: 1, Max: math.MaxInt32 / 4, Doc: "entries, of about 150 bytes each"}}},
		{Name: "expire", Doc: "how long a client is remembered after its last exchange", Default: "30m",
			Args: []spec.Arg{{Name: "DURATION", Kind: spec.Duration, Doc: "a time; 0s: for ever"}}},
	}
}

// TableWord is `table NAME { … }` at the top level.
func TableWord() spec.Word {
	return spec.Word{
		Name: "table", In: spec.InTop,
		Doc: "What pools remember of their clients: which server each belongs to",
		Long: "Several pools may share a table; a server is known there by its name, so servers that go together should have the same name " +
			"in each pool. Tables survive reloads.",
		Example: "table sessions {\n    type string\n    size 100000\n    expire 1h\n}",
		Args:    []spec.Arg{{Name: "NAME", Kind: spec.String, Doc: "its name"}},
		Options: append([]spec.Word{{Name: "type", Required: true, Doc: "what clients are known by",
			Args: []spec.Arg{{Name: "KEYS", Kind: spec.Enum, Words: []string{string(IPKeys), string(StringKeys)}, Doc: "an address, or any text"}}}},
			tableOptions()...),
	}
}

// ReadTable reads a `table` block.
func ReadTable(n *config.Node) TableSpec {
	return sized(n, TableKey{Name: n.Text(0), Type: TableType(n.OptionText("type"))})
}

func sized(n *config.Node, k TableKey) TableSpec {
	return TableSpec{TableKey: k, Size: int(n.OptionInt("size")), Expire: n.OptionDuration("expire")}
}
