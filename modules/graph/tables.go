package graph

import "github.com/loadstar-lb/loadstar/modules/persistence"

// limitedTable is a table with the limits it gets when the graph starts: until
// then it is the one of the generation before, too.
type limitedTable struct {
	table *persistence.Table
	persistence.TableSpec
}

// tables gives the tables of the configuration by name.
func (b *builder) tables() func(name string) (persistence.TableSpec, bool) {
	named := make(map[string]persistence.TableSpec, len(b.cfg.Tables))
	for i := range b.cfg.Tables {
		t := persistence.ReadTable(&b.cfg.Tables[i])
		named[t.Name] = t
	}
	return func(name string) (persistence.TableSpec, bool) {
		t, ok := named[name]
		return t, ok
	}
}

// table lends a table.
func (b *builder) table(t persistence.TableSpec) *persistence.Table {
	fresh := func() (*persistence.Table, error) { return persistence.NewTable(t.Size, t.Expire), nil }
	v, err := b.Shared.Tables.Get(b.Tx, t.TableKey, fresh)
	if err != nil { // the transaction has ended: a programming error, harmless here
		v = persistence.NewTable(t.Size, t.Expire)
	}
	b.graph.tables = append(b.graph.tables, limitedTable{v, t})
	return v
}
