package sqlite

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// memory is a file in memory, which fails when it is told to.
type memory struct {
	content []byte
	failing bool
	methods []any
}

func (m *memory) write(_ *libc.TLS, _, data uintptr, n int32, at offset) int32 {
	if m.failing {
		return sqlite3.SQLITE_FULL
	}
	m.put(libc.GoBytes(data, int(n)), at)
	return sqlite3.SQLITE_OK
}

func (m *memory) put(data []byte, at offset) {
	if end := int(at) + len(data); end > len(m.content) {
		m.content = append(m.content, make([]byte, end-len(m.content))...)
	}
	copy(m.content[at:], data)
}

func (m *memory) read(_ *libc.TLS, _, data uintptr, n int32, at offset) int32 {
	copy(libc.GoBytes(data, int(n)), m.content[at:])
	return sqlite3.SQLITE_OK
}

func (m *memory) truncate(_ *libc.TLS, _ uintptr, size offset) int32 {
	m.content = m.content[:size]
	return sqlite3.SQLITE_OK
}

func (m *memory) sync(*libc.TLS, uintptr, int32) int32 { return sqlite3.SQLITE_OK }

func (m *memory) size(_ *libc.TLS, _, size uintptr) int32 {
	*at[int64](size) = int64(len(m.content))
	return sqlite3.SQLITE_OK
}

// gathering is a file in memory with frames before it.
func gathering(t *testing.T) (*memory, *frames) {
	m := &memory{}
	f := &frames{buffer: libc.Xmalloc(nil, gathered), write: m.write}
	t.Cleanup(func() { libc.Xfree(nil, f.buffer) })
	read, cut, sync, size := transfer(m.read), truncate(m.truncate), syncFile(m.sync), fileSize(m.size)
	m.methods = []any{read, cut, sync, size}
	f.theirs = sqlite3.Tsqlite3_io_methods{FxRead: pointer(read), FxTruncate: pointer(cut), FxSync: pointer(sync), FxFileSize: pointer(size)}
	return m, f
}

func pointer[F any](method F) uintptr { return *(*uintptr)(unsafe.Pointer(&method)) }

// page is how long the pages of these logs are.
const page = 512

// anyBytes are new ones. A header's say whether its frame commits.
func anyBytes(random *rand.Rand, n int, commits bool) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	if n == frameHeader {
		binary.BigEndian.PutUint32(data[4:], 0)
		if commits {
			data[7] = 1
		}
	}
	return data
}

// logTest is a log as SQLite writes it, and what is to be in the file.
type logTest struct {
	t         *testing.T
	random    *rand.Rand
	memory    *memory
	frames    *frames
	want      []byte
	committed int // frames
	written   int // frames, with those of the transaction
}

// place is where a frame stands.
func place(frame int) int { return 32 + frame*(frameHeader+page) }

// put writes bytes. Where that fails SQLite rolls back to the last commit, and writes anew from there.
func (l *logTest) put(data []byte, at int) bool {
	p := libc.Xmalloc(nil, libc.Tsize_t(len(data)))
	defer libc.Xfree(nil, p)
	copy(libc.GoBytes(p, len(data)), data)
	if l.frames.gather(nil, 0, p, int32(len(data)), offset(at)) != sqlite3.SQLITE_OK {
		l.written = l.committed
		l.want = l.want[:place(l.written)]
		return false
	}
	plain := memory{content: l.want}
	plain.put(data, offset(at))
	l.want = plain.content
	return true
}

// same compares the file with what was written.
func (l *logTest) same(what string) {
	l.t.Helper()
	if len(l.memory.content) < len(l.want) || !bytes.Equal(l.memory.content[:len(l.want)], l.want) {
		l.t.Fatalf("after %s the file is not what was written", what)
	}
}

// appendFrame writes a frame at the end.
func (l *logTest) appendFrame() {
	commits := l.random.IntN(4) == 0
	if !l.put(anyBytes(l.random, frameHeader, commits), place(l.written)) || !l.put(anyBytes(l.random, page, false), place(l.written)+frameHeader) {
		return
	}
	if l.written++; commits {
		l.committed = l.written
		l.same("a commit")
	}
}

// writeAnew writes a page of the transaction again, and then headers alone, as SQLite does for what its cache had no room for.
func (l *logTest) writeAnew() {
	if l.written == l.committed {
		return
	}
	first := l.committed + l.random.IntN(l.written-l.committed)
	if !l.put(anyBytes(l.random, page, false), place(first)+frameHeader) {
		return
	}
	l.same("a page anew")
	for i := first + l.random.IntN(2); i < l.written; i++ {
		if !l.put(anyBytes(l.random, frameHeader, i == l.written-1), place(i)) {
			return
		}
	}
	l.same("headers anew")
	l.committed = l.written
}

// readBack reads what was written.
func (l *logTest) readBack() {
	p := libc.Xmalloc(nil, libc.Tsize_t(len(l.want)))
	defer libc.Xfree(nil, p)
	if l.frames.read(nil, 0, p, int32(len(l.want)), 0) == sqlite3.SQLITE_OK && !bytes.Equal(libc.GoBytes(p, len(l.want)), l.want) {
		l.t.Fatal("something else is read than was written")
	}
	size := new(int64)
	if l.frames.size(nil, 0, uintptr(unsafe.Pointer(size))) == sqlite3.SQLITE_OK && *size < int64(len(l.want)) {
		l.t.Fatalf("its size is %d, at least %d were written", *size, len(l.want))
	}
}

// rollBack forgets what was written since the last commit, and may cut it off.
func (l *logTest) rollBack() {
	l.written, l.want = l.committed, l.want[:place(l.committed)]
	if l.random.IntN(2) == 0 && l.frames.truncate(nil, 0, offset(len(l.want))) == sqlite3.SQLITE_OK &&
		l.frames.sync(nil, 0, 0) == sqlite3.SQLITE_OK && len(l.memory.content) != len(l.want) {
		l.t.Fatal("it was not cut off")
	}
}

// beginAnew begins the log anew, and may cut it off.
func (l *logTest) beginAnew() {
	if l.written != l.committed || !l.put(anyBytes(l.random, 32, false), 0) {
		return
	}
	l.written, l.committed, l.want = 0, 0, l.want[:32]
	if l.random.IntN(2) == 0 && l.frames.truncate(nil, 0, 32) == sqlite3.SQLITE_OK && len(l.memory.content) != 32 {
		l.t.Fatal("it was not cut off")
	}
}

// TestFramesAreWrittenAsSQLiteAskedFor whatever it asks for, also where the disk fails for a while.
func TestFramesAreWrittenAsSQLiteAskedFor(t *testing.T) {
	for seed := range uint64(500) {
		l := &logTest{t: t, random: rand.New(rand.NewPCG(seed, 2))}
		l.memory, l.frames = gathering(t)
		l.put(anyBytes(l.random, 32, false), 0)
		for range 300 {
			l.memory.failing = l.random.IntN(10) == 0
			switch what := l.random.IntN(20); {
			case what < 14:
				l.appendFrame()
			case what < 16:
				l.writeAnew()
			case what < 17:
				l.readBack()
			case what < 18:
				if l.frames.sync(nil, 0, 0) == sqlite3.SQLITE_OK {
					l.same("a sync")
				}
			case what < 19:
				l.rollBack()
			case l.random.IntN(4) == 0:
				l.beginAnew()
			}
		}
	}
}

// TestACommitThatFailedIsNotWrittenLater because SQLite has rolled it back.
func TestACommitThatFailedIsNotWrittenLater(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	m, f := gathering(t)
	put := func(n, at int, commits bool) int32 {
		data := anyBytes(random, n, commits)
		p := libc.Xmalloc(nil, libc.Tsize_t(n))
		defer libc.Xfree(nil, p)
		copy(libc.GoBytes(p, n), data)
		return f.gather(nil, 0, p, int32(n), offset(at))
	}
	put(32, 0, false)
	put(frameHeader, 32, true)
	m.failing = true
	if put(page, 32+frameHeader, false) == sqlite3.SQLITE_OK {
		t.Error("a commit succeeded that was not written")
	}
	m.failing = false
	before := slices.Clone(m.content)
	if f.sync(nil, 0, 0) != sqlite3.SQLITE_OK || !bytes.Equal(m.content, before) {
		t.Error("it was written later")
	}
}
