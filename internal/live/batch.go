package live

import (
	"slices"
	"sync"
)

// batch is what was published within a while. Once it has been handed over nothing is added to it.
type batch struct {
	shared list            // of what is nobody's own
	owned  map[int64]*list // of what is a user's

	mu   sync.Mutex
	once map[*Audience]string // what is shared, encoded for those who have asked
}

// list are hints by their kinds, in the order in which those came, each once.
type list struct {
	kinds []string
	ids   map[string][]string // nil for many
}

func (b *batch) add(hint Hint) {
	if hint.Owner == 0 {
		b.shared.add(hint)
		return
	}
	if b.owned == nil {
		b.owned = map[int64]*list{}
	}
	own := b.owned[hint.Owner]
	if own == nil {
		own = &list{}
		b.owned[hint.Owner] = own
	}
	own.add(hint)
}

// concerns reports whether there is something in it for a reader.
func (b *batch) concerns(r *Reader) bool {
	return b.owned[r.user] != nil || slices.ContainsFunc(b.shared.kinds, r.audience.sees)
}

// encoded is what is shared, as an audience may see it.
func (b *batch) encoded(a *Audience, encode func([]Hint) string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text, ok := b.once[a]
	if !ok {
		if b.once == nil {
			b.once = map[*Audience]string{}
		}
		text = encode(b.shared.hints(a))
		b.once[a] = text
	}
	return text
}

func (l *list) add(hint Hint) {
	ids, known := l.ids[hint.Kind]
	switch {
	case !known:
		if l.ids == nil {
			l.ids = map[string][]string{}
		}
		l.kinds = append(l.kinds, hint.Kind)
		ids = []string{}
	case ids == nil || slices.Contains(ids, hint.ID):
		return
	}
	if hint.ID == "" || len(ids) >= maxIDs {
		l.ids[hint.Kind] = nil
		return
	}
	l.ids[hint.Kind] = append(ids, hint.ID)
}

// hints are those of a list that an audience may see; nil sees all. There need be no list.
func (l *list) hints(a *Audience) (hints []Hint) {
	if l == nil {
		return nil
	}
	for _, kind := range l.kinds {
		switch ids := l.ids[kind]; {
		case a != nil && !a.sees(kind):
		case ids == nil:
			hints = append(hints, Hint{Kind: kind})
		default:
			for _, id := range ids {
				hints = append(hints, Hint{Kind: kind, ID: id})
			}
		}
	}
	return hints
}
