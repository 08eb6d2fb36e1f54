package delivery

import (
	"database/sql"
	"errors"
	"fmt"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

const mappingColumns = `pk, name, expression`

func scanMapping(row sqldb.Scanner) (m Mapping, err error) {
	err = row.Scan(&m.PK, &m.Name, &m.Expression)
	return m, err
}

var mappingTable = listing.Table[Mapping]{
	Columns: mappingColumns, From: "mapping", PK: "pk", Scan: scanMapping,
	Text:   "name",
	Exact:  [][2]string{{"name", "name"}},
	Orders: map[string]string{"pk": "pk", "name": "name", "expression": "expression"},
}

// listMappings reads the page that q asks for.
func listMappings(tx *sqldb.Tx, q *drf.Query) (sqldb.Page[Mapping], error) {
	return mappingTable.Page(tx, q, sqldb.Where{})
}

// getMapping reads one mapping; lock is "" or the clause for a row that is going to be changed.
func getMapping(tx *sqldb.Tx, pk, lock string) (Mapping, error) {
	m, err := sqldb.One(tx, scanMapping, `SELECT `+mappingColumns+` FROM mapping WHERE pk = $1`+lock, pk)
	if errors.Is(err, sql.ErrNoRows) {
		return m, drf.NotFound()
	}
	if err != nil {
		return m, fmt.Errorf("read mapping: %w", err)
	}
	return m, nil
}

// checkMapping adds an error to field if it names no mapping. In a write the mapping stays until its end.
func checkMapping(tx *sqldb.Tx, errs *drf.Errors, field string, pk drf.Field[string]) error {
	if !pk.Set || pk.Null || errs.Has(field) {
		return nil
	}
	_, err := sqldb.One(tx, scanMapping, `SELECT `+mappingColumns+` FROM mapping WHERE pk = $1`+tx.ForShare(), pk.Value)
	if errors.Is(err, sql.ErrNoRows) {
		errs.Add(field, drf.InvalidPK(pk.Value))
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for mapping: %w", err)
	}
	return nil
}

func insertMapping(tx *sqldb.Tx, m *Mapping) error {
	if _, err := tx.Exec(`INSERT INTO mapping (`+mappingColumns+`) VALUES ($1, $2, $3)`, m.PK, m.Name, m.Expression); err != nil {
		return fmt.Errorf("insert mapping: %w", err)
	}
	return nil
}

func updateMapping(tx *sqldb.Tx, m *Mapping) error {
	if _, err := tx.Exec(`UPDATE mapping SET name = $2, expression = $3 WHERE pk = $1`, m.PK, m.Name, m.Expression); err != nil {
		return fmt.Errorf("update mapping: %w", err)
	}
	return nil
}

// mappingUsedBy answers the transports that use a mapping, each once.
func mappingUsedBy(tx *sqldb.Tx, pk string) ([]drf.UsedBy, error) {
	rows, err := sqldb.All(tx, scanTransport, `SELECT `+transportColumns+` FROM transport
		WHERE body_mapping_pk = $1 OR headers_mapping_pk = $1 ORDER BY name, pk`, pk)
	if err != nil {
		return nil, fmt.Errorf("read transports of a mapping: %w", err)
	}
	list := make([]drf.UsedBy, len(rows))
	for i, t := range rows {
		list[i] = drf.UsedBy{App: "authentik_events", ModelName: "notificationtransport", PK: t.PK,
			Name: "Notification Transport " + t.Name, Action: "set_default"}
	}
	return list, nil
}
