package drf

import (
	"math"
	"strconv"
)

const (
	defaultPageSize = 100
	maxPageSize     = 1000
)

// Paging is the page that a request asks for.
type Paging struct {
	Number int64 // from 1
	Last   bool  // ?page=last
	Bad    bool  // not a page number: 404, once the list was permitted
	Size   int64 // 1 to 1000
}

// parsePaging reads ?page= and ?page_size=. A size that is no positive number is ignored; a page that is
// none is kept as Bad, because the caller's rights are checked first.
func parsePaging(page, size string) Paging {
	p := Paging{Number: 1, Size: defaultPageSize}
	if n, ok := parseInt(size); ok && n.Sign() > 0 {
		p.Size = maxPageSize
		if n.IsInt64() {
			p.Size = min(n.Int64(), maxPageSize)
		}
	}
	switch page {
	case "":
	case "last":
		p.Last = true
	default:
		n, ok := parseInt(page)
		p.Bad = !ok || n.Sign() <= 0 || !n.IsInt64() || n.Int64() > math.MaxInt64/p.Size
		if !p.Bad {
			p.Number = n.Int64()
		}
	}
	return p
}

// Window turns a count into the offset and the limit of the page; InvalidPage when it lies behind the end
// of the list. A count that is known only from below is math.MaxInt64: then every page number passes, and
// WriteList refuses a page that turns out to be empty. ?page=last needs the true count.
func (p Paging) Window(count int64) (offset, limit int64, err error) {
	pages := max(1, (count-1)/p.Size+1)
	number := p.Number
	if p.Last {
		number = pages
	}
	if p.Bad || number > pages {
		return 0, 0, InvalidPage()
	}
	return (number - 1) * p.Size, p.Size, nil
}

// PageInfo is what the envelope says of a page. Count may be a lower bound; More decides whether there is a next page.
type PageInfo struct {
	Size, Offset, Count int64
	More                bool
}

// append appends the envelope's pagination for a page with so many rows.
func (p PageInfo) append(dst []byte, rows int64) []byte {
	size := p.Size
	if size <= 0 {
		size = defaultPageSize
	}
	current := p.Offset/size + 1
	end := p.Offset + rows
	var start, next, count int64 = 0, 0, end
	if rows > 0 {
		start = p.Offset + 1
	}
	if p.More {
		next = current + 1
		count = max(p.Count, end+1)
	}
	total := max(1, current, next, (count-1)/size+1)
	for _, part := range []struct {
		key string
		n   int64
	}{
		{`{"next":`, next}, {`,"previous":`, current - 1}, {`,"count":`, count}, {`,"current":`, current},
		{`,"total_pages":`, total}, {`,"start_index":`, start}, {`,"end_index":`, end},
	} {
		dst = strconv.AppendInt(append(dst, part.key...), part.n, 10)
	}
	return append(dst, '}')
}
