package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"belfry/internal/identity"
	"belfry/internal/rules"
	"belfry/internal/sqldb"
)

// demonstration says what a database was filled with.
type demonstration struct{ events, users, groups, rules, notifications, unseen int }

// String says it to a person.
func (d *demonstration) String() string {
	return fmt.Sprintf("Filled for a demonstration, all of it invented: %d events of the last %d days, %d users without passwords, "+
		"%d groups, %d rules, %d notifications, %d of them not seen yet.", d.events, demoDays, d.users, d.groups, d.rules, d.notifications, d.unseen)
}

const (
	demoDays   = 60
	demoEvents = 420 // besides those of demoStory
	demoSeed   = 0xbe1f
)

// errNotNew is the refusal to mix what was invented with what happened.
var errNotNew = errors.New("--demo (BELFRY_DEMO) fills new databases only, and this one has events or people: leave it out, or name another --database")

// fillDemo fills a new database, whole or not at all. It works out in the write what follows from each event: nobody else
// is waiting, for it runs before anything is served.
func fillDemo(ctx context.Context, db *sqldb.DB) (*demonstration, error) {
	var filled *demonstration
	err := db.Write(ctx, func(tx *sqldb.Tx) (err error) {
		filled, err = writeDemo(ctx, tx)
		return err
	})
	if err != nil && !errors.Is(err, errNotNew) {
		err = fmt.Errorf("fill the database for a demonstration: %w", err)
	}
	return filled, err
}

func writeDemo(ctx context.Context, tx *sqldb.Tx) (*demonstration, error) {
	taken, err := exists(tx, "SELECT 1 FROM event UNION ALL SELECT 1 FROM app_user WHERE pk > 1 LIMIT 1", nil)
	if err != nil {
		return nil, err
	}
	if taken {
		return nil, errNotNew
	}
	if err := identity.BumpGeneration(tx); err != nil {
		return nil, err
	}
	d := &demonstration{users: len(demoPeople), groups: len(demoGroups), rules: len(demoRules)}
	random := rand.New(rand.NewPCG(demoSeed, demoSeed))
	people, err := addPeople(tx, random)
	if err != nil {
		return nil, err
	}
	if err := addGroupsAndRules(tx, people); err != nil {
		return nil, err
	}
	return d, d.writeEvents(ctx, tx, random, people)
}

// person is an invented user; the key is the database's.
type person struct {
	username, name string
	pk             int64
}

// email is the person's address, in a domain that is nobody's.
func (p person) email() string { return p.username + "@rowan.example" }

// addPeople adds the users, who joined before the first event.
func addPeople(tx *sqldb.Tx, random *rand.Rand) ([]person, error) {
	people := slices.Clone(demoPeople)
	for i := range people {
		p := &people[i]
		joined := tx.Now() - (demoDays+random.Int64N(300))*dayMicros - random.Int64N(dayMicros)
		login := tx.Now() - random.Int64N(3*dayMicros)
		var err error
		if p.pk, err = identity.Add(tx, p.username, p.name, p.email(), joined, &login); err != nil {
			return nil, err
		}
	}
	return people, nil
}

// addGroupsAndRules makes groups of people and of those who look at the demonstration, and rules that notify them.
func addGroupsAndRules(tx *sqldb.Tx, people []person) error {
	directory, err := identity.LoadDirectory(tx)
	if err != nil {
		return err
	}
	keys := map[string]string{}
	for _, g := range demoGroups {
		members := slices.Clone(directory.Superusers())
		for _, p := range people {
			if slices.Contains(g.members, p.username) {
				members = append(members, p.pk)
			}
		}
		if keys[g.name], err = identity.AddGroup(tx, g.name, members); err != nil {
			return err
		}
	}
	for _, r := range demoRules {
		group := keys[r.group]
		if err := rules.Add(tx, rules.Rule{Name: r.name, Severity: r.severity, GroupPK: &group}, r.matchers()...); err != nil {
			return err
		}
	}
	return nil
}

// writeEvents writes the events, the oldest first, with the notifications that the rules make of them. These have no
// expressions, so that they run inside the write for once; nothing of the past is sent.
func (d *demonstration) writeEvents(ctx context.Context, tx *sqldb.Tx, random *rand.Rand, people []person) error {
	snapshot, err := loadSnapshot(tx)
	if err != nil {
		return err
	}
	counts := tally{}
	for _, e := range demoPast(random, people, tx.Now()) {
		p := newPlan(e)
		if p.outcome, err = new(recorder).workOut(ctx, snapshot, &p.event, &p.columns); err != nil {
			return err
		}
		if err := putEvent(tx, &p.event, &p.columns, counts); err != nil {
			return err
		}
		d.events++
		for i := range p.outcome.notifications {
			n := &p.outcome.notifications[i]
			n.Event, n.Created = &p.event, p.event.Created
			if seen := look(random, n, tx.Now()); seen && *n.SeenAt < tx.Now()-keepSeen+dayMicros {
				continue // retention would have deleted it, or is about to
			}
			if err := putNotification(tx, n); err != nil {
				return err
			}
			d.notifications++
			if !n.Seen {
				d.unseen++
			}
		}
	}
	tx.AtEnd(counts)
	return nil
}

// look marks most of the older notifications as seen, some hours after they came.
func look(random *rand.Rand, n *Notification, now int64) bool {
	at := n.Created + hourMicros/6 + random.Int64N(9*hourMicros)
	if n.Seen = at < now && random.IntN(8) > 0; n.Seen {
		n.SeenAt = &at
	}
	return n.Seen
}

// demoPast makes up what happened until now: everyday life, and a story. The same is made up every time, moved to now.
func demoPast(random *rand.Rand, people []person, now int64) []Event {
	life := &everyday{random: random, people: people}
	events := make([]Event, 0, demoEvents)
	for range demoEvents {
		e := life.event()
		// The square makes yesterday livelier than what is long ago.
		age := random.Float64()
		e.Created = now - 5*60*secondMicros - int64(age*age*float64(demoDays*dayMicros-hourMicros))
		events = append(events, e)
	}
	events = append(events, life.story(now)...)
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.Created, b.Created) })
	return events
}
