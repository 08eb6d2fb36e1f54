package rules

import (
	"fmt"
	"slices"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

const bindingColumns = `b.pk, b.policy_pk, b.group_pk, b.user_pk, b.target_pk, b.negate, b.enabled, b.position, b.timeout, b.failure_result`

func scanBinding(row sqldb.Scanner) (b Binding, err error) {
	err = row.Scan(&b.PK, &b.PolicyPK, &b.GroupPK, &b.UserPK, &b.TargetPK,
		&b.Negate, &b.Enabled, &b.Order, &b.Timeout, &b.OnFailure)
	return b, err
}

var bindingTable = listing.Table[Binding]{
	Columns: bindingColumns,
	From:    "binding b LEFT JOIN policy p ON p.pk = b.policy_pk",
	PK:      "b.pk",
	Text:    "COALESCE(p.name, '')",
	Exact:   [][2]string{{"policy", "b.policy_pk"}, {"target", "b.target_pk"}},
	Orders: map[string]string{
		"pk":             "b.pk",
		"policy":         "COALESCE(b.policy_pk, '')",
		"group":          "COALESCE(b.group_pk, '')",
		"user":           "COALESCE(b.user_pk, 0)",
		"target":         "b.target_pk",
		"negate":         "b.negate",
		"enabled":        "b.enabled",
		"order":          "b.position",
		"timeout":        "b.timeout",
		"failure_result": "b.failure_result",
	},
	Scan: scanBinding,
}

// listBindings reads the page that q asks for.
func listBindings(tx *sqldb.Tx, q *drf.Query) (sqldb.Page[Binding], error) {
	if err := checkFilters(tx, q); err != nil {
		return sqldb.Page[Binding]{}, err
	}
	var where sqldb.Where
	if targets := q.Texts("target_in"); len(targets) > 0 {
		where.In("b.target_pk", listing.Args(targets)...)
	}
	if value, ok := q.Bool("policy__isnull"); ok {
		where.Add("(b.policy_pk IS NULL) = ?", value)
	}
	if value, ok := q.Bool("enabled"); ok {
		where.Add("b.enabled = ?", value)
	}
	for _, filter := range [][2]string{{"order", "b.position"}, {"timeout", "b.timeout"}} {
		if value, ok := q.Int(filter[0]); ok {
			where.Add(filter[1]+" = ?", value)
		}
	}
	return bindingTable.Page(tx, q, where)
}

// checkFilters refuses filters by a policy or a rule that does not exist.
func checkFilters(tx *sqldb.Tx, q *drf.Query) error {
	errs := drf.NewErrors("policy", "target")
	for name, table := range map[string]string{"policy": "policy", "target": "rule"} {
		pk, ok := q.Text(name)
		if !ok {
			continue
		}
		there, err := exists(tx, `SELECT 1 FROM `+table+` WHERE pk = $1`, pk)
		if err != nil {
			return fmt.Errorf("check filter %s: %w", name, err)
		}
		if !there {
			errs.Add(name, drf.MsgNoChoice)
		}
	}
	return errs.Err()
}

// getBinding reads one binding; lock is "" or the clause for a row that is going to be changed.
func getBinding(tx *sqldb.Tx, pk, lock string) (Binding, error) {
	b, err := sqldb.One(tx, scanBinding, `SELECT `+bindingColumns+` FROM binding b WHERE b.pk = $1`+lock, pk)
	if err != nil {
		return b, notFound(err, "read binding")
	}
	return b, nil
}

// loadBindings answers every binding by its target.
func loadBindings(tx *sqldb.Tx) (map[string][]Binding, error) {
	rows, err := sqldb.All(tx, scanBinding, `SELECT `+bindingColumns+` FROM binding b`)
	if err != nil {
		return nil, fmt.Errorf("load bindings: %w", err)
	}
	bindings := make(map[string][]Binding)
	for _, b := range rows {
		bindings[b.TargetPK] = append(bindings[b.TargetPK], b)
	}
	return bindings, nil
}

// fillBindings fills in what answers show besides: the policy, group or user of each binding, and its rule's name.
func fillBindings(tx *sqldb.Tx, bindings []Binding) error {
	var groupPKs []string
	var userPKs []int64
	for _, b := range bindings {
		if b.GroupPK != nil {
			groupPKs = append(groupPKs, *b.GroupPK)
		}
		if b.UserPK != nil {
			userPKs = append(userPKs, *b.UserPK)
		}
	}
	policies, err := loadPolicies(tx)
	if err != nil {
		return err
	}
	groups, err := identity.GetGroups(tx, sortedSet(groupPKs))
	if err != nil {
		return err
	}
	slices.Sort(userPKs)
	users, err := identity.GetUsers(tx, slices.Compact(userPKs))
	if err != nil {
		return err
	}
	names, err := ruleNames(tx)
	if err != nil {
		return err
	}
	for i := range bindings {
		b := &bindings[i]
		b.rule = names[b.TargetPK]
		b.policy, b.group, b.user = pick(policies, b.PolicyPK), pick(groups, b.GroupPK), pick(users, b.UserPK)
	}
	return nil
}

// ruleNames answers the name of every rule by its pk.
func ruleNames(tx *sqldb.Tx) (map[string]string, error) {
	rows, err := sqldb.All(tx, scanPair, `SELECT pk, name FROM rule`)
	if err != nil {
		return nil, fmt.Errorf("read the names of rules: %w", err)
	}
	names := make(map[string]string, len(rows))
	for _, row := range rows {
		names[row[0]] = row[1]
	}
	return names, nil
}

func insertBinding(tx *sqldb.Tx, b *Binding) error {
	_, err := tx.Exec(`INSERT INTO binding (pk, policy_pk, group_pk, user_pk, target_pk, negate, enabled, position, timeout, failure_result)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		b.PK, b.PolicyPK, b.GroupPK, b.UserPK, b.TargetPK, b.Negate, b.Enabled, b.Order, b.Timeout, b.OnFailure)
	if err != nil {
		return fmt.Errorf("insert binding: %w", err)
	}
	return nil
}

func updateBinding(tx *sqldb.Tx, b *Binding) error {
	_, err := tx.Exec(`UPDATE binding SET policy_pk = $2, group_pk = $3, user_pk = $4, target_pk = $5,
		negate = $6, enabled = $7, position = $8, timeout = $9, failure_result = $10 WHERE pk = $1`,
		b.PK, b.PolicyPK, b.GroupPK, b.UserPK, b.TargetPK, b.Negate, b.Enabled, b.Order, b.Timeout, b.OnFailure)
	if err != nil {
		return fmt.Errorf("update binding: %w", err)
	}
	return nil
}
