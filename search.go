package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
	"belfry/internal/trigram"
)

// Bounds of what a search takes upon itself beside the index. Beyond them reading all events is no slower.
const (
	// scannedEvents is how many events that are not indexed yet, or not any more, are read.
	scannedEvents = 4 * trigram.ZoneSize
	// narrowedEvents is how many events of the index are handed to a query in an order that is not the index's, and how
	// deep a page may lie that is read by the index itself.
	narrowedEvents = 100_000
	// usedRanges is how many trigrams of its terms are looked up in a zone, and fewEvents with how few
	// events left no more are: reading these is as quick.
	usedRanges = 24
	fewEvents  = 2
	// filteredEvents is how few events may pass the filters for search to read each of them.
	filteredEvents = 2000
)

// search reads events by the index of their texts. The index only says which events may match: each of them is read and
// asked again, as are those that the index does not know, so that the answer is the same as without it.
type search struct {
	tx     *sqldb.Tx
	where  sqldb.Where // of the whole query
	ranges []trigram.Range
	sorted bool // the ranges are, the rarest first
	exact  bool // what the index finds matches
	zones  []zone
	gaps   []gap
	stale  []int64 // numbers of events that are not as their zone says
}

// zone is one that the index holds: its number, the times between which its events were made, and whether their numbers
// are in the order of time.
type zone struct {
	number, oldest, newest int64
	ordered                bool
}

// gap is where the index holds no zone: the lowest and the highest number of an event there.
type gap struct{ from, to int64 }

// damagedZone says that the index cannot be read in a zone.
type damagedZone struct {
	zone int64
	err  error
}

// Error implements error.
func (e *damagedZone) Error() string {
	return fmt.Sprintf("zone %d of the search index: %v", e.zone, e.err)
}

// planSearch looks at how a query with search terms is best read; nil when without the index.
func planSearch(tx *sqldb.Tx, q *drf.Query, where sqldb.Where) (*search, error) {
	if tx.Postgres() || len(q.Search) == 0 {
		return nil, nil
	}
	if few, err := passFew(tx, q); few || err != nil {
		return nil, err
	}
	s := &search{tx: tx, where: where}
	for _, term := range q.Search {
		s.ranges = append(s.ranges, trigram.Ranges(term)...)
	}
	s.exact = len(s.ranges) == len(q.Search) && len(s.ranges) <= usedRanges && len(where.Args()) == len(q.Search)
	if actions := q.Texts("actions"); len(actions) == 1 {
		s.ranges = append(trigram.Ranges("\n"+drf.Fold(actions[0])+"\n"), s.ranges...) // as foldEvent writes it
	}
	s.ranges = s.ranges[:min(len(s.ranges), usedRanges)]
	if known, err := s.inspect(); !known || err != nil {
		return nil, err
	}
	s.zones = slices.DeleteFunc(s.zones, func(z zone) bool {
		from, fromOK := q.Time("created__gte")
		before, beforeOK := q.Time("created__lt")
		return fromOK && z.newest < from || beforeOK && z.oldest >= before
	})
	return s, nil
}

// passFew reports whether filters for which there are indexes leave few events.
func passFew(tx *sqldb.Tx, q *drf.Query) (bool, error) {
	var where sqldb.Where
	if !indexedFilter(&where, q) {
		return false, nil
	}
	passed, err := sqldb.All(tx, scanNumber, "SELECT e.rowid FROM event e"+where.SQL()+" LIMIT "+strconv.Itoa(filteredEvents), where.Args()...)
	return len(passed) < filteredEvents, err
}

func scanNumber(row sqldb.Scanner) (n int64, err error) {
	err = row.Scan(&n)
	return n, err
}

// inspect reads what the index holds and what not; false when that is too much to be read one by one.
func (s *search) inspect() (known bool, err error) {
	if s.zones, err = loadZones(s.tx); err != nil {
		return false, err
	}
	if s.gaps, err = findGaps(s.tx, s.zones, math.MaxInt64); err != nil {
		return false, err
	}
	left := int64(scannedEvents)
	for _, g := range s.gaps {
		left -= g.to - g.from + 1
	}
	if left < 0 {
		return false, nil
	}
	s.stale, err = sqldb.All(s.tx, scanNumber, "SELECT number FROM event_stale ORDER BY number LIMIT $1", left+1)
	return int64(len(s.stale)) <= left, err
}

// loadZones answers the finished zones in the order of their numbers.
func loadZones(tx *sqldb.Tx) ([]zone, error) {
	zones, err := sqldb.All(tx, func(row sqldb.Scanner) (z zone, err error) {
		err = row.Scan(&z.number, &z.oldest, &z.newest, &z.ordered)
		return z, err
	}, "SELECT zone, oldest, newest, ordered FROM event_zone WHERE newest IS NOT NULL ORDER BY zone")
	if err != nil {
		return nil, fmt.Errorf("read what is indexed: %w", err)
	}
	return zones, nil
}

// findGaps answers where up to the number end there are events that no zone holds.
func findGaps(tx *sqldb.Tx, zones []zone, end int64) (gaps []gap, err error) {
	from := int64(math.MinInt64)
	for i := range len(zones) + 1 {
		to := end
		if i < len(zones) {
			to = min(end, zones[i].number<<trigram.ZoneBits-1)
		}
		if from <= to {
			ends, err := sqldb.All(tx, scanPair, `SELECT low, high FROM (SELECT (SELECT min(rowid) FROM event WHERE rowid BETWEEN $1 AND $2) AS low,
				(SELECT max(rowid) FROM event WHERE rowid BETWEEN $1 AND $2) AS high) WHERE low IS NOT NULL`, from, to)
			if err != nil {
				return nil, fmt.Errorf("look for events that are not indexed: %w", err)
			}
			for _, end := range ends {
				gaps = append(gaps, gap{end[0], end[1]})
			}
		}
		if i < len(zones) {
			from = (zones[i].number + 1) << trigram.ZoneBits
		}
	}
	return gaps, nil
}

// unindexed answers what matches of the events that the index does not know.
func (s *search) unindexed() (found []match, err error) {
	for _, g := range s.gaps {
		more, err := s.scan("e.rowid BETWEEN ? AND ?", g.from, g.to)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	more, err := s.scan("e.rowid IN (SELECT number FROM event_stale)")
	if err != nil {
		return nil, err
	}
	// What is stale may stand in a gap too, where a zone is being made.
	for _, m := range more {
		if !slices.ContainsFunc(s.gaps, func(g gap) bool { return g.from <= m.number && m.number <= g.to }) {
			found = append(found, m)
		}
	}
	return found, nil
}

// scan reads the events under a condition and answers which match.
func (s *search) scan(condition string, args ...any) ([]match, error) {
	where := s.where
	where.Add(condition, args...)
	return s.check("SELECT e.rowid, e.created, e.pk FROM event e NOT INDEXED"+where.SQL(), where.Args())
}

// check answers which events match, of those that a query reads.
func (s *search) check(query string, args []any) ([]match, error) {
	found, err := sqldb.All(s.tx, func(row sqldb.Scanner) (m match, err error) {
		err = row.Scan(&m.number, &m.created, &m.pk)
		return m, err
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("search events: %w", err)
	}
	return found, nil
}

// listed is the query that reads columns of those events of a list that match.
func (s *search) listed(columns string, list []int64) (query string, args []any) {
	args = append(slices.Clone(s.where.Args()), asJSON(list))
	return "SELECT " + columns + " FROM json_each($" + strconv.Itoa(len(args)) + ") l CROSS JOIN event e NOT INDEXED ON e.rowid = l.value" + s.where.SQL(), args
}

// candidates are the events of a zone that may match, without what is stale there: what the terms' trigrams have in common.
func (s *search) candidates(z zone) (list []int64, err error) {
	common, err := s.common(z)
	if err != nil {
		return nil, err
	}
	first := z.number << trigram.ZoneBits
	for place := range common.Places() {
		if number := first + int64(place); !s.isStale(number) {
			list = append(list, number)
		}
	}
	return list, nil
}

// common are the places in a zone that all ranges have. In the first zone all of them are looked up, to begin with the
// rarest in the others.
func (s *search) common(z zone) (common trigram.Set, err error) {
	lengths := make(map[trigram.Range]int, len(s.ranges))
	for i, r := range s.ranges {
		var held trigram.Set
		if err := s.collect(z, r, &held); err != nil {
			return common, err
		}
		lengths[r] = held.Len()
		if i > 0 {
			held.Intersect(&common)
		}
		common = held
		if left := common.Len(); s.sorted && (left == 0 || left <= fewEvents && !s.exact) {
			break
		}
	}
	if !s.sorted {
		slices.SortFunc(s.ranges, func(a, b trigram.Range) int { return cmp.Compare(lengths[a], lengths[b]) })
		s.sorted = true
	}
	return common, nil
}

func (s *search) isStale(number int64) bool {
	_, stale := slices.BinarySearch(s.stale, number)
	return stale
}

// collect reads where in a zone the trigrams of a range are.
func (s *search) collect(z zone, r trigram.Range, places *trigram.Set) error {
	blocks, err := sqldb.All(s.tx, func(row sqldb.Scanner) (b trigram.Block, err error) {
		err = row.Scan(&b.First, &b.Data)
		return b, err
	}, `SELECT gram, data FROM event_trigram WHERE zone = $1 AND gram <= $3
		AND gram >= coalesce((SELECT max(gram) FROM event_trigram WHERE zone = $1 AND gram <= $2), 0) ORDER BY gram`, z.number, r.Low, r.High)
	if err != nil {
		return fmt.Errorf("read the search index: %w", err)
	}
	for _, b := range blocks {
		if err := b.Collect(r, places); err != nil {
			return &damagedZone{z.number, err}
		}
	}
	return nil
}

// narrow adds to the search's conditions that only those events are read which the index says may match. It leaves them as they
// are when reading all is as quick.
func (s *search) narrow() (sqldb.Where, error) {
	found, err := s.unindexed()
	if err != nil {
		return s.where, err
	}
	list := make([]int64, len(found))
	for i, m := range found {
		list[i] = m.number
	}
	for _, z := range s.zones {
		more, err := s.candidates(z)
		if err != nil {
			return s.where, err
		}
		if list = append(list, more...); len(list) > narrowedEvents {
			return s.where, nil
		}
	}
	narrow := s.where
	narrow.Add("e.rowid IN (SELECT value FROM json_each(?))", asJSON(list))
	return narrow, nil
}

// asJSON is a list of numbers as one argument of a query.
func asJSON(list []int64) string {
	text := []byte{'['}
	for i, n := range list {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, n, 10)
	}
	return string(append(text, ']'))
}
