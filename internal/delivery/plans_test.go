package delivery

import (
	"net/http/httptest"
	"testing"

	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
)

// TestTheLogOfDeliveriesGoesByAnIndex reads it by each of its filters. One that comes to the list comes here.
func TestTheLogOfDeliveriesGoesByAnIndex(t *testing.T) {
	db := sqldbtest.Open(t, sqldb.Options{})
	const some = "019abc00-0000-7000-8000-000000000001"
	indexes := map[string][2]string{
		"state": {"dead&state=pending", "delivery_state"}, "transport": {some, "delivery_transport"}, "rule": {some, "delivery_rule"}, "recipient": {"1", "delivery_user"},
		"event": {some, "sqlite_autoindex_delivery_2"}, "created__gte": {"2020-01-01", "delivery_created"}, "created__lt": {"2020-01-01", "delivery_created"},
	}
	for _, filter := range LoggedList.Filters {
		with, ok := indexes[filter.Name]
		if !ok {
			t.Errorf("%s is not tried", filter.Name)
		}
		for _, order := range []string{"created", "-created"} {
			query := filter.Name + "=" + with[0] + "&ordering=" + order
			q, err := LoggedList.Parse(httptest.NewRequest("GET", "/?"+query, nil))
			if err != nil {
				t.Fatal(err)
			}
			sqldbtest.WalksIndexes(t, db, query, with[1], func(tx *sqldb.Tx) error {
				_, err := listLogged(tx, q)
				return err
			})
		}
	}
}

// TestWhatTheWorkerAsksForGoesByAnIndex, as often as it asks.
func TestWhatTheWorkerAsksForGoesByAnIndex(t *testing.T) {
	db := sqldbtest.Open(t, sqldb.Options{})
	for name, run := range map[string]func(tx *sqldb.Tx) error{
		"claim":           func(tx *sqldb.Tx) error { _, err := claim(tx, "x", 1, 10, "y"); return err },
		"next due":        func(tx *sqldb.Tx) error { _, err := nextDue(tx, "x", 1); return err },
		"release":         func(tx *sqldb.Tx) error { return release(tx, "x") },
		"depths":          func(tx *sqldb.Tx) error { _, _, err := Depths(tx); return err },
		"what is settled": func(tx *sqldb.Tx) error { _, err := DeleteSettled(tx, 1, 10); return err },
	} {
		sqldbtest.WalksIndexes(t, db, name, "", run)
	}
}
