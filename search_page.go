package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

// match is an event that was found: its rowid, and where it stands in the order of time.
type match struct {
	number, created int64
	pk              string
}

// pages reports whether page reads what q asks for. It keeps what it found in memory: not for the last page, nor very deep ones.
func (s *search) pages(q *drf.Query) bool {
	return len(q.Order) == 1 && q.Order[0].Name == "created" && !q.Last && q.Number <= narrowedEvents/q.Size
}

// page reads a page in the order of time, newest first or oldest first.
func (s *search) page(q *drf.Query, newestFirst bool) (page sqldb.Page[Event], err error) {
	offset, limit, err := q.Window(math.MaxInt64)
	if err != nil {
		return page, err
	}
	found, rest, err := s.matches(offset+limit+1, newestFirst)
	if err != nil {
		return page, err
	}
	page.Offset, page.Count = offset, int64(len(found))
	if err := s.countRest(rest, &page.Count); err != nil {
		return page, err
	}
	if page.Count <= countedMatches {
		if _, _, err = q.Window(page.Count); err != nil { // behind the end
			return page, err
		}
	}
	end := min(offset+limit, int64(len(found)))
	page.More = end < int64(len(found))
	page.Count = min(page.Count, max(countedMatches, end))
	if offset < end {
		page.Rows, err = s.read(found[offset:end], q)
	}
	return page, err
}

// countRest counts what matches of the rest, as far as matches are counted.
func (s *search) countRest(rest []part, count *int64) error {
	for _, p := range rest {
		if *count > countedMatches {
			return nil
		}
		if err := s.load(&p); err != nil {
			return err
		}
		if s.exact {
			*count += int64(len(p.candidates))
			continue
		}
		var n int64
		query, args := s.listed("1", p.candidates)
		args = append(args, countedMatches+1-*count)
		if err := s.tx.Row("SELECT count(*) FROM ("+query+" LIMIT $"+strconv.Itoa(len(args))+")", args, &n); err != nil {
			return fmt.Errorf("count events: %w", err)
		}
		*count += n
	}
	return nil
}

// read reads the events of a page.
func (s *search) read(found []match, q *drf.Query) ([]Event, error) {
	list := make([]int64, len(found))
	for i, m := range found {
		list[i] = m.number
	}
	return sqldb.All(s.tx, scanEvent, "SELECT "+eventColumns+" FROM event e NOT INDEXED WHERE e.rowid IN (SELECT value FROM json_each($1)) ORDER BY "+
		listing.OrderBy(q.Order, eventSources, "e.pk"), asJSON(list))
}

// part is a zone that is to be read, or what is left of it: events that may match, once they are known.
type part struct {
	zone
	known      bool
	candidates []int64
}

// load looks up which events of a part may match.
func (s *search) load(p *part) (err error) {
	if !p.known {
		p.candidates, err = s.candidates(p.zone)
		p.known = true
	}
	return err
}

// matches answers what matches in the order of time: the first need of it at least, and what it did not read for that. It goes
// through the zones in that order, and stops where no other can hold what belongs before.
func (s *search) matches(need int64, newestFirst bool) (found []match, rest []part, err error) {
	if found, err = s.unindexed(); err != nil {
		return nil, nil, err
	}
	order := timeOrder{newestFirst}
	for _, z := range s.zones {
		rest = append(rest, part{zone: z})
	}
	slices.SortFunc(rest, order.parts)
	for len(rest) > 0 {
		if int64(len(found)) >= need {
			slices.SortFunc(found, order.matches)
			if order.before(found[need-1], rest[0].zone) {
				return found, rest, nil
			}
		}
		more, left, err := s.readPart(rest[0], order)
		if err != nil {
			return nil, nil, err
		}
		found = append(found, more...)
		if rest = rest[1:]; left != nil {
			rest = append(rest, *left)
			slices.SortFunc(rest, order.parts)
		}
	}
	slices.SortFunc(found, order.matches)
	return found, nil, nil
}

// partEvents is how many events are read at once of a zone whose numbers are in the order of time.
const partEvents = 1024

// readPart reads a part, or its beginning when its numbers are in the order of time, and answers what is left of it.
func (s *search) readPart(p part, order timeOrder) (found []match, left *part, err error) {
	if err := s.load(&p); err != nil || len(p.candidates) == 0 {
		return nil, nil, err
	}
	now := p.candidates
	if p.ordered && len(now) > partEvents {
		later := p
		if now, later.candidates = now[:partEvents], now[partEvents:]; order.newestFirst {
			cut := len(p.candidates) - partEvents
			now, later.candidates = p.candidates[cut:], p.candidates[:cut]
		}
		left = &later
	}
	found, err = s.check(s.listed("e.rowid, e.created, e.pk", now))
	if left != nil {
		for _, m := range found {
			left.oldest, left.newest = order.narrow(left.zone, m)
		}
	}
	return found, left, err
}

// timeOrder is one of the two orders of time.
type timeOrder struct{ newestFirst bool }

func (o timeOrder) matches(a, b match) int {
	if o.newestFirst {
		a, b = b, a
	}
	return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(a.pk, b.pk))
}

func (o timeOrder) parts(a, b part) int {
	if o.newestFirst {
		return cmp.Compare(b.newest, a.newest)
	}
	return cmp.Compare(a.oldest, b.oldest)
}

// before reports whether a match stands before all that a zone may hold.
func (o timeOrder) before(m match, z zone) bool {
	if o.newestFirst {
		return m.created > z.newest
	}
	return m.created < z.oldest
}

// narrow answers the times of what is left of a zone beyond a match in it.
func (o timeOrder) narrow(z zone, m match) (oldest, newest int64) {
	if o.newestFirst {
		return z.oldest, min(z.newest, m.created)
	}
	return max(z.oldest, m.created), z.newest
}
