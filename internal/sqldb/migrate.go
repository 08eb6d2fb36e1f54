package sqldb

import (
	"bufio"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// migration is one numbered step of the schema.
type migration struct {
	version int
	why     string
	parts   []migrationPart
}

// migrationPart is one section of a migration: for both databases, or for one.
type migrationPart struct {
	only string // "", "sqlite" or "postgres"
	sql  string
}

// script is what the migration runs on a database, sections in the order of the file.
func (m migration) script(database string) string {
	var b strings.Builder
	for _, part := range m.parts {
		if part.only == "" || part.only == database {
			b.WriteString(part.sql)
		}
	}
	return b.String()
}

var (
	migrationLine = regexp.MustCompile(`^-- migration ([1-9][0-9]*)(?: (sqlite|postgres))?: (\S.*)$`)
	// migrationLike is what somebody meant as a heading: refused unless it is one.
	migrationLike = regexp.MustCompile(`(?i)^\s*--\s*migration\s+[0-9]`)
)

// parseMigrations reads the text of schema.sql: sections that begin with
// "-- migration N: why", "-- migration N sqlite: why" or "-- migration N postgres: why",
// N from 1 without a gap. Before the first there are comments only.
func parseMigrations(schema string) ([]migration, error) {
	var list []migration
	var part *migrationPart
	lines := bufio.NewScanner(strings.NewReader(schema))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if migrationLike.MatchString(line) {
			var err error
			if list, err = addSection(list, line); err != nil {
				return nil, fmt.Errorf("schema line %d: %w", n, err)
			}
			parts := list[len(list)-1].parts
			part = &parts[len(parts)-1]
			continue
		}
		if part != nil {
			part.sql += line + "\n"
		} else if text := strings.TrimSpace(line); text != "" && !strings.HasPrefix(text, "--") {
			return nil, fmt.Errorf("schema line %d: a statement stands before the first migration", n)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("schema: it has no migration")
	}
	return list, nil
}

// addSection begins the section that a heading names.
func addSection(list []migration, line string) ([]migration, error) {
	m := migrationLine.FindStringSubmatch(line)
	if m == nil {
		return nil, fmt.Errorf("%q is no heading of a migration", line)
	}
	version, err := strconv.Atoi(m[1])
	if err != nil {
		return nil, err
	}
	if version == len(list)+1 {
		list = append(list, migration{version: version, why: m[3]})
	}
	if version != len(list) {
		return nil, fmt.Errorf("migration %d stands where %d or %d is expected", version, len(list), len(list)+1)
	}
	last := &list[version-1]
	for _, part := range last.parts {
		if part.only == m[2] {
			return nil, fmt.Errorf("migration %d has that section twice", version)
		}
	}
	last.parts = append(last.parts, migrationPart{only: m[2]})
	return list, nil
}

const versionTable = `CREATE TABLE IF NOT EXISTS schema_version (
    version BIGINT PRIMARY KEY,
    why     TEXT NOT NULL,
    applied BIGINT NOT NULL
)`

// apply runs one migration and writes its row.
func (m migration) apply(tx *Tx, database string, now int64) error {
	if script := m.script(database); strings.TrimSpace(script) != "" {
		if err := tx.run.script(script); err != nil {
			return fmt.Errorf("migration %d (%s): %w", m.version, m.why, err)
		}
	}
	_, err := tx.Exec("INSERT INTO schema_version (version, why, applied) VALUES ($1, $2, $3)", m.version, m.why, now)
	if err != nil {
		return fmt.Errorf("migration %d (%s): its row: %w", m.version, m.why, err)
	}
	return nil
}

// currentVersion is schemaVersion for a database that may be empty.
func currentVersion(tx *Tx) (int, error) {
	if err := tx.run.script(versionTable); err != nil {
		return 0, err
	}
	return schemaVersion(tx)
}

// schemaVersion is the newest migration that the database has, or 0.
func schemaVersion(tx *Tx) (version int, err error) {
	if err = tx.Row("SELECT coalesce(max(version), 0) FROM schema_version", nil, &version); err != nil {
		return 0, fmt.Errorf("read the schema's version: %w", err)
	}
	return version, nil
}

// checkVersion refuses a database that a newer program made.
func checkVersion(version int, migrations []migration) error {
	if newest := len(migrations); version > newest {
		return fmt.Errorf("its schema has version %d and this program knows %d: a newer program made it", version, newest)
	}
	return nil
}
