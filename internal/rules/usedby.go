package rules

import (
	"fmt"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

// UsedByOfTransport answers the rules that use a transport.
func UsedByOfTransport(tx *sqldb.Tx, transportPK string) ([]drf.UsedBy, error) {
	return usedBy(tx, ruleAs("cascade_many"), `SELECT r.pk, r.name FROM rule_transport t
		JOIN rule r ON r.pk = t.rule_pk WHERE t.transport_pk = $1 ORDER BY r.name, r.pk`, transportPK)
}

// UsedByOfGroup answers the rules that notify a group, and the bindings to it.
func UsedByOfGroup(tx *sqldb.Tx, groupPK string) ([]drf.UsedBy, error) {
	rules, err := usedBy(tx, ruleAs("set_null"), `SELECT pk, name FROM rule WHERE group_pk = $1 ORDER BY name, pk`, groupPK)
	if err != nil {
		return nil, err
	}
	bindings, err := usedByBindings(tx, "b.group_pk", groupPK)
	return append(rules, bindings...), err
}

// UsedByOfUser answers the bindings to a user.
func UsedByOfUser(tx *sqldb.Tx, userPK int64) ([]drf.UsedBy, error) {
	return usedByBindings(tx, "b.user_pk", userPK)
}

func usedByOfPolicy(tx *sqldb.Tx, pk string) ([]drf.UsedBy, error) {
	return usedByBindings(tx, "b.policy_pk", pk)
}

// usedByOfRule answers a rule's bindings and, as authentik does, also what the rule itself uses
// through a table of links: its transports and the policies that are bound to it.
func usedByOfRule(tx *sqldb.Tx, pk string) ([]drf.UsedBy, error) {
	list, err := usedByBindings(tx, "b.target_pk", pk)
	if err != nil {
		return nil, err
	}
	transports, err := usedBy(tx, drf.UsedBy{App: "authentik_events", ModelName: "notificationtransport",
		Name: "Notification Transport ", Action: "cascade_many"},
		`SELECT t.pk, t.name FROM rule_transport l JOIN transport t ON t.pk = l.transport_pk
		WHERE l.rule_pk = $1 ORDER BY t.name, t.pk`, pk)
	if err != nil {
		return nil, err
	}
	policies, err := usedBy(tx, drf.UsedBy{App: "authentik_policies", ModelName: "policy", Action: "cascade_many"},
		`SELECT p.pk, p.name FROM policy p WHERE p.pk IN (SELECT policy_pk FROM binding WHERE target_pk = $1)
		ORDER BY p.name, p.pk`, pk)
	return append(append(list, transports...), policies...), err
}

// usedByBindings answers the bindings whose column is pk, in the order in which rules look at them.
func usedByBindings(tx *sqldb.Tx, column string, pk any) ([]drf.UsedBy, error) {
	return usedBy(tx, drf.UsedBy{App: "authentik_policies", ModelName: "policybinding",
		Name: "Binding from Notification Rule ", Action: "cascade"},
		`SELECT b.pk, r.name || ' #' || b.position || ' to ' || CASE
			WHEN b.policy_pk IS NOT NULL THEN 'Policy ' || p.name
			WHEN b.group_pk IS NOT NULL THEN 'Group ' || g.name
			ELSE 'User ' || u.username END
		FROM binding b JOIN rule r ON r.pk = b.target_pk
		LEFT JOIN policy p ON p.pk = b.policy_pk
		LEFT JOIN user_group g ON g.pk = b.group_pk
		LEFT JOIN app_user u ON u.pk = b.user_pk
		WHERE `+column+` = $1 ORDER BY r.name, b.position, b.pk`, pk)
}

func ruleAs(action string) drf.UsedBy {
	return drf.UsedBy{App: "authentik_events", ModelName: "notificationrule", Name: "Notification Rule ", Action: action}
}

// usedBy answers a line like the given one for each row (pk, name); the line's own name goes before the row's.
func usedBy(tx *sqldb.Tx, line drf.UsedBy, query string, arg any) ([]drf.UsedBy, error) {
	rows, err := sqldb.All(tx, scanPair, query, arg)
	if err != nil {
		return nil, fmt.Errorf("used by %s: %w", line.ModelName, err)
	}
	list := make([]drf.UsedBy, len(rows))
	for i, row := range rows {
		list[i] = line
		list[i].PK, list[i].Name = row[0], line.Name+row[1]
	}
	return list, nil
}
