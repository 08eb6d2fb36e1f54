package sqlite

import (
	"errors"

	"modernc.org/libc"
)

// arenaSize is how much text the arguments of a statement mostly have, in bytes. Beyond it each has a place of its own.
const arenaSize = 16 << 10

var errMemory = errors.New("sqlite: no memory")

// arena is where the texts of a statement's arguments stand while it runs: SQLite reads memory of its own only.
type arena struct {
	start uintptr
	used  int
	large []uintptr
}

func (a *arena) open(tls *libc.TLS) error {
	if a.start = libc.Xmalloc(tls, arenaSize); a.start == 0 {
		return errMemory
	}
	return nil
}

func (a *arena) close(tls *libc.TLS) {
	a.clear(tls)
	libc.Xfree(tls, a.start)
}

// clear forgets the texts of the statement before.
func (a *arena) clear(tls *libc.TLS) {
	a.used = 0
	for _, p := range a.large {
		libc.Xfree(tls, p)
	}
	a.large = a.large[:0]
}

// keep copies a text and answers where it stands, also one that is empty; 0 where there is no memory.
func (a *arena) keep(tls *libc.TLS, text string) uintptr {
	p := a.start + uintptr(a.used)
	if a.used+len(text) < arenaSize {
		a.used += len(text)
	} else {
		if p = libc.Xmalloc(tls, libc.Tsize_t(len(text))); p == 0 {
			return 0
		}
		a.large = append(a.large, p)
	}
	copy(libc.GoBytes(p, len(text)), text)
	return p
}

// texts are those of one row. They share one string, because each of its own takes longer to make room for than to read.
type texts struct {
	bytes []byte
	parts []part
}

// part is a text that ends at a place in the bytes, and who wants it.
type part struct {
	end  int
	dest *string
}

func (t *texts) add(text []byte, dest *string) {
	t.bytes = append(t.bytes, text...)
	t.parts = append(t.parts, part{len(t.bytes), dest})
}

// share hands out the texts.
func (t *texts) share() {
	all, start := string(t.bytes), 0
	for _, p := range t.parts {
		*p.dest = all[start:p.end]
		start = p.end
	}
}

// clear forgets the texts, and holds on to nothing but little room for others.
func (t *texts) clear() {
	clear(t.parts)
	t.parts = t.parts[:0]
	if t.bytes = t.bytes[:0]; cap(t.bytes) > arenaSize {
		t.bytes = nil
	}
}
