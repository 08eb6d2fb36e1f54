package rules

import (
	"fmt"
	"strconv"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/sqldb"
)

const (
	ruleTaken    = "Notification Rule with this name already exists."
	bindingTaken = "The fields policy, target, order must make a unique set."
)

func (a *API) applyRule(tx *sqldb.Tx, in drf.Input[RulePatch], r *Rule) error {
	p, errs := &in.Patch, in.Errors()
	if err := checkName(tx, errs, "rule", r.PK, p.Name, ruleTaken); err != nil {
		return err
	}
	missing, err := a.MissingTransport(tx, p.Transports.Value)
	if err != nil {
		return err
	}
	if missing != "" {
		errs.Add("transports", drf.InvalidPK(missing))
	}
	if err := checkGroup(tx, errs, p.Group); err != nil {
		return err
	}
	if err := errs.Err(); err != nil {
		return err
	}
	p.apply(r)
	return nil
}

func applyMatcher(tx *sqldb.Tx, in drf.Input[MatcherPatch], m *Matcher) error {
	errs := in.Errors()
	if err := checkName(tx, errs, "policy", m.PK, in.Patch.Name, kinds[kindMatcher].taken()); err != nil {
		return err
	}
	if err := errs.Err(); err != nil {
		return err
	}
	in.Patch.apply(m)
	return nil
}

func applyExpression(tx *sqldb.Tx, in drf.Input[ExpressionPatch], e *ExpressionPolicy) error {
	errs := in.Errors()
	if err := checkName(tx, errs, "policy", e.PK, in.Patch.Name, kinds[kindExpression].taken()); err != nil {
		return err
	}
	if err := errs.Err(); err != nil {
		return err
	}
	in.Patch.apply(e)
	return nil
}

func applyBinding(tx *sqldb.Tx, in drf.Input[BindingPatch], b *Binding) error {
	p, errs := &in.Patch, in.Errors()
	if err := checkExists(tx, errs, "policy", "policy", p.Policy); err != nil {
		return err
	}
	if err := checkGroup(tx, errs, p.Group); err != nil {
		return err
	}
	if err := checkUser(tx, errs, p.User); err != nil {
		return err
	}
	if err := checkExists(tx, errs, "target", "rule", p.Target); err != nil {
		return err
	}
	if err := errs.Err(); err != nil {
		return err
	}
	p.apply(b)
	// The binding as it would be is looked at, so that a PATCH need not repeat what stays.
	switch n := b.subjects(); {
	case n > 1:
		return drf.Invalid("", "Only one of 'policy', 'group' or 'user' can be set.")
	case n == 0:
		return drf.Invalid("", "One of 'policy', 'group' or 'user' must be set.")
	}
	return nil
}

// checkName adds the error message if another row of table than pk has the name.
func checkName(tx *sqldb.Tx, errs *drf.Errors, table, pk string, name drf.Field[string], message string) error {
	if !name.Set {
		return nil
	}
	taken, err := exists(tx, `SELECT 1 FROM `+table+` WHERE name = $1 AND pk <> $2`, name.Value, pk)
	if err != nil {
		return fmt.Errorf("look for name in %s: %w", table, err)
	}
	if taken {
		errs.Add("name", message)
	}
	return nil
}

// checkExists adds an error to field if it names no row of table. In a write the row stays until its end.
func checkExists(tx *sqldb.Tx, errs *drf.Errors, field, table string, pk drf.Field[string]) error {
	if !pk.Set || pk.Null || errs.Has(field) {
		return nil
	}
	there, err := exists(tx, `SELECT 1 FROM `+table+` WHERE pk = $1`+tx.ForShare(), pk.Value)
	if err != nil {
		return fmt.Errorf("look for %s: %w", table, err)
	}
	if !there {
		errs.Add(field, drf.InvalidPK(pk.Value))
	}
	return nil
}

func checkGroup(tx *sqldb.Tx, errs *drf.Errors, pk drf.Field[string]) error {
	if !pk.Set || pk.Null || errs.Has("group") {
		return nil
	}
	groups, err := identity.GetGroups(tx, []string{pk.Value})
	if err != nil {
		return err
	}
	if len(groups) == 0 {
		errs.Add("group", drf.InvalidPK(pk.Value))
	}
	return nil
}

func checkUser(tx *sqldb.Tx, errs *drf.Errors, pk drf.Field[int64]) error {
	if !pk.Set || pk.Null || errs.Has("user") {
		return nil
	}
	users, err := identity.GetUsers(tx, []int64{pk.Value})
	if err != nil {
		return err
	}
	if len(users) == 0 {
		errs.Add("user", drf.InvalidPK(strconv.FormatInt(pk.Value, 10)))
	}
	return nil
}
