package sqldb

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// shapeQuery lists every table's columns, every index's columns and every foreign key, a line each. It does not look
// at the SQL text of the schema, which another version of SQLite may have written in another way.
const shapeQuery = `
SELECT 'table ' || t.name || ': ' || c.name || ' ' || c.type || ' ' || c."notnull" || ' ' || c.pk || ' ' || coalesce(c.dflt_value, '')
FROM sqlite_schema t, pragma_table_xinfo(t.name) c WHERE t.type = 'table'
UNION ALL
SELECT 'index of ' || t.name || ': ' || CASE i.origin WHEN 'c' THEN i.name ELSE '' END || ' ' || i."unique" || ' ' || i.partial || ' ' ||
    (SELECT group_concat(coalesce(x.name, '?') || ' ' || x.desc || ' ' || x.coll, ', ') FROM pragma_index_xinfo(i.name) x WHERE x.key)
FROM sqlite_schema t, pragma_index_list(t.name) i WHERE t.type = 'table'
UNION ALL
SELECT 'foreign key of ' || t.name || ': ' || f."from" || ' ' || f."table" || ' ' || coalesce(f."to", '') || ' ' || f.on_update || ' ' || f.on_delete
FROM sqlite_schema t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table'
UNION ALL
SELECT t.type || ' ' || t.name || ' on ' || t.tbl_name FROM sqlite_schema t WHERE t.type IN ('view', 'trigger')`

// shape answers the lines of shapeQuery.
func (c *sqliteConn) shape() ([]string, error) {
	tx := &Tx{run: c}
	defer tx.end()
	return All(tx, func(row Scanner) (line string, err error) {
		err = row.Scan(&line)
		return line, err
	}, shapeQuery)
}

// checkRoots makes sure that every table and index begins on a page of its own. With auto_vacuum
// SQLite keeps these pages together at the file's beginning, after the schema and the first pointer map.
func checkRoots(conn *sqliteConn) error {
	var roots, distinct, first, last, autoVacuum int
	err := conn.row(`SELECT count(*), count(DISTINCT rootpage), coalesce(min(rootpage), 3), coalesce(max(rootpage), 3),
		(SELECT auto_vacuum FROM pragma_auto_vacuum) FROM sqlite_schema WHERE rootpage <> 0`, &roots, &distinct, &first, &last, &autoVacuum)
	if err != nil {
		return err
	}
	if distinct < roots || autoVacuum != 0 && (first < 3 || last > roots+2) {
		return errors.New("its schema is damaged: restore it from a backup: a table does not begin where it should")
	}
	return nil
}

// checkShape compares the file's tables with those that the migrations make. Damage that leaves the schema
// readable (another letter in a column's name, a constraint less) would otherwise come to light much
// later. What an operator has added, such as an index, is allowed.
func checkShape(conn *sqliteConn, migrations []migration) error {
	if err := checkRoots(conn); err != nil {
		return err
	}
	want, err := shapeOf(migrations)
	if err != nil {
		return err
	}
	lines, err := conn.shape()
	if err != nil {
		return err
	}
	found := make(map[string]bool, len(lines))
	for _, line := range lines {
		found[line] = true
	}
	for _, line := range want {
		if !found[line] {
			return fmt.Errorf("its schema is damaged: restore it from a backup: there is no %q", line)
		}
	}
	return nil
}

// shapeOf runs migrations in memory and answers what comes of them.
func shapeOf(migrations []migration) (lines []string, err error) {
	conn, err := openConn("file::memory:")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := migrateSQLite(context.Background(), conn, migrations, &clock{now: time.Now}); err != nil {
		return nil, err
	}
	return conn.shape()
}
