package delivery

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

const transportColumns = `pk, name, mode, webhook_url, body_mapping_pk, headers_mapping_pk, send_once, email_subject_prefix, email_template,
	disabled_at, disabled_reason, secret, previous_secret`

func scanTransport(row sqldb.Scanner) (t Transport, err error) {
	err = row.Scan(&t.PK, &t.Name, &t.Mode, &t.WebhookURL, &t.BodyMapping, &t.HeadersMapping,
		&t.SendOnce, &t.EmailSubjectPrefix, &t.EmailTemplate, &t.DisabledAt, &t.DisabledReason, &t.Secret, &t.PreviousSecret)
	return t, err
}

// LoadTransports answers every transport by its pk.
func LoadTransports(tx *sqldb.Tx) (map[string]Transport, error) {
	rows, err := sqldb.All(tx, scanTransport, `SELECT `+transportColumns+` FROM transport`)
	if err != nil {
		return nil, fmt.Errorf("load transports: %w", err)
	}
	transports := make(map[string]Transport, len(rows))
	for _, t := range rows {
		transports[t.PK] = t
	}
	return transports, nil
}

// MissingTransport answers the first of pks that is no transport, or "" when all
// are. In a write the transports stay until its end.
func MissingTransport(tx *sqldb.Tx, pks []string) (missing string, err error) {
	if len(pks) == 0 {
		return "", nil
	}
	// All are read, because there are few, while a request may name thousands.
	there, err := sqldb.All(tx, scanTransport, `SELECT `+transportColumns+` FROM transport`+tx.ForShare())
	if err != nil {
		return "", fmt.Errorf("look for transports: %w", err)
	}
	for _, pk := range pks {
		if !slices.ContainsFunc(there, func(t Transport) bool { return t.PK == pk }) {
			return pk, nil
		}
	}
	return "", nil
}

// Seed makes the transports that authentik ships and answers their pks.
func Seed(tx *sqldb.Tx) (emailPK, localPK string, err error) {
	email, local := newTransport(), newTransport()
	email.Name, email.Mode = "default-email-transport", ModeEmail
	local.Name, local.Mode = "default-local-transport", ModeLocal
	for _, t := range []Transport{email, local} {
		if err := insertTransport(tx, t); err != nil {
			return "", "", err
		}
	}
	return email.PK, local.PK, nil
}

// getTransport reads one transport out of from (see visible); lock is "" or the clause for a row that is going to be changed.
func getTransport(tx *sqldb.Tx, from, pk, lock string) (Transport, error) {
	t, err := sqldb.One(tx, scanTransport, `SELECT `+transportColumns+` FROM `+from+` WHERE pk = $1`+lock, pk)
	if errors.Is(err, sql.ErrNoRows) {
		return t, drf.NotFound()
	}
	if err != nil {
		return t, fmt.Errorf("read transport: %w", err)
	}
	return t, nil
}

func insertTransport(tx *sqldb.Tx, t Transport) error {
	_, err := tx.Exec(`INSERT INTO transport (`+transportColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		t.PK, t.Name, t.Mode, t.WebhookURL, t.BodyMapping, t.HeadersMapping, t.SendOnce, t.EmailSubjectPrefix, t.EmailTemplate,
		t.DisabledAt, t.DisabledReason, t.Secret, t.PreviousSecret)
	if err != nil {
		return fmt.Errorf("insert transport: %w", err)
	}
	return nil
}

func updateTransport(tx *sqldb.Tx, t Transport) error {
	_, err := tx.Exec(`UPDATE transport SET name = $2, mode = $3, webhook_url = $4, body_mapping_pk = $5,
		headers_mapping_pk = $6, send_once = $7, email_subject_prefix = $8, email_template = $9,
		disabled_at = $10, disabled_reason = $11, secret = $12, previous_secret = $13 WHERE pk = $1`,
		t.PK, t.Name, t.Mode, t.WebhookURL, t.BodyMapping, t.HeadersMapping, t.SendOnce, t.EmailSubjectPrefix, t.EmailTemplate,
		t.DisabledAt, t.DisabledReason, t.Secret, t.PreviousSecret)
	if err != nil {
		return fmt.Errorf("update transport: %w", err)
	}
	return nil
}

// deleteTransport deletes a transport and answers which that was; the rules that use it stay.
func deleteTransport(tx *sqldb.Tx, pk string) (Transport, error) {
	t, err := getTransport(tx, visible(true), pk, tx.ForUpdate())
	if err != nil {
		return t, err
	}
	if _, err := tx.Exec(`DELETE FROM transport WHERE pk = $1`, pk); err != nil {
		return t, fmt.Errorf("delete transport: %w", err)
	}
	return t, nil
}

// nameTaken reports whether another row of table than pk has the name.
func nameTaken(tx *sqldb.Tx, table, name, pk string) (bool, error) {
	var n int
	if err := tx.Row(`SELECT COUNT(*) FROM `+table+` WHERE name = $1 AND pk <> $2`, []any{name, pk}, &n); err != nil {
		return false, fmt.Errorf("look for name in %s: %w", table, err)
	}
	return n > 0, nil
}

// visible is the table as a caller sees it: the URL of a webhook often holds its secret, so
// those who may not change transports neither see, nor filter, search or order by it.
func visible(urls bool) string {
	if urls {
		return "transport"
	}
	return "(SELECT pk, name, mode, '' AS webhook_url, body_mapping_pk, headers_mapping_pk, send_once, " +
		"email_subject_prefix, email_template, disabled_at, disabled_reason, '' AS secret, '' AS previous_secret FROM transport) AS t"
}

// listTransports reads the page that q asks for out of from (see visible).
func listTransports(tx *sqldb.Tx, q *drf.Query, from string) (sqldb.Page[Transport], error) {
	table := listing.Table[Transport]{
		Columns: transportColumns, From: from, PK: "pk", Scan: scanTransport,
		Text:  "name || ' ' || mode || ' ' || webhook_url",
		Exact: [][2]string{{"name", "name"}, {"mode", "mode"}, {"webhook_url", "webhook_url"}},
		Orders: map[string]string{
			"webhook_mapping":         "COALESCE(body_mapping_pk, '')",
			"webhook_mapping_body":    "COALESCE(body_mapping_pk, '')",
			"webhook_mapping_headers": "COALESCE(headers_mapping_pk, '')",
		},
	}
	for _, name := range TransportList.Orderings {
		if table.Orders[name] == "" {
			table.Orders[name] = name // the others are columns
		}
	}
	var where sqldb.Where
	if value, ok := q.Bool("send_once"); ok {
		where.Add("send_once = ?", value)
	}
	return table.Page(tx, q, where)
}
