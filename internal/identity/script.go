package identity

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"belfry/internal/listing"
	"belfry/internal/script"
	"belfry/internal/sqldb"
)

// ScriptUsers are users as expressions see them, by their pks; what does not exist is not in the answer.
func ScriptUsers(tx *sqldb.Tx, pks []int64) (map[int64]*script.User, error) {
	users, err := GetUsers(tx, pks)
	if err != nil {
		return nil, err
	}
	found := make(map[int64]*script.User, len(users))
	for pk, u := range users {
		seen := &script.User{PK: pk, Username: u.Username, Name: u.Name, Email: u.Email, IsActive: u.IsActive,
			IsSuperuser: u.IsSuperuser, Attributes: json.RawMessage(u.Attributes)}
		for _, g := range u.GroupsObj {
			seen.Groups = append(seen.Groups, g.Name)
		}
		found[pk] = seen
	}
	for part := range slices.Chunk(slices.Sorted(maps.Keys(found)), batch) {
		if err := mergeAttributes(tx, found, part); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// ScriptUser is one of [ScriptUsers], nil where there is none.
func ScriptUser(tx *sqldb.Tx, pk int64) (*script.User, error) {
	users, err := ScriptUsers(tx, []int64{pk})
	return users[pk], err
}

// mergeAttributes fills in what the groups of users, and those above them, say of their members: in the order of their
// names, and then what the user's own attributes say, the later before the earlier.
func mergeAttributes(tx *sqldb.Tx, users map[int64]*script.User, pks []int64) error {
	merged := map[int64]map[string]any{}
	merge := func(user int64, attributes string) {
		if merged[user] == nil {
			merged[user] = map[string]any{}
		}
		into(merged[user], decoded(attributes))
	}
	var w sqldb.Where
	w.In("m.user_pk", listing.Args(pks)...)
	query := `WITH RECURSIVE up (user_pk, pk) AS (
		SELECT m.user_pk, m.group_pk FROM membership m` + w.SQL() + `
		UNION
		SELECT up.user_pk, c.parent_pk FROM user_group c JOIN up ON up.pk = c.pk WHERE c.parent_pk IS NOT NULL
	) SELECT up.user_pk, g.attributes FROM up JOIN user_group g ON g.pk = up.pk WHERE g.attributes <> '{}' ORDER BY g.name, g.pk`
	err := each(tx, query, w.Args(), func(s sqldb.Scanner) error {
		var user int64
		var attributes string
		err := s.Scan(&user, &attributes)
		merge(user, attributes)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the attributes of groups: %w", err)
	}
	for _, pk := range pks {
		if merged[pk] == nil {
			users[pk].GroupAttributes = users[pk].Attributes
			continue
		}
		merge(pk, string(users[pk].Attributes))
		text, err := json.Marshal(merged[pk])
		if err != nil {
			return fmt.Errorf("merging attributes: %w", err)
		}
		users[pk].GroupAttributes = text
	}
	return nil
}

// into merges one object into another: objects and lists are joined, of other values the later counts.
func into(to, from map[string]any) {
	for key, value := range from {
		switch value := value.(type) {
		case map[string]any:
			if old, ok := to[key].(map[string]any); ok {
				into(old, value)
				continue
			}
		case []any:
			if old, ok := to[key].([]any); ok {
				to[key] = append(slices.Clip(old), value...)
				continue
			}
		}
		to[key] = value
	}
}

// decoded is a JSON object with its numbers as they are written, nil for anything else.
func decoded(text string) map[string]any {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var object map[string]any
	if decoder.Decode(&object) != nil {
		return nil
	}
	return object
}
