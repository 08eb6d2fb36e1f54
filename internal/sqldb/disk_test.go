package sqldb_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// disk is a file system for SQLite that does what the machine's own does, counts, and fails on demand.
type disk struct {
	name string

	mu       sync.Mutex
	files    map[uintptr]string // open files by SQLite's handle
	faults   map[fault]int32    // the result codes of calls that fail
	once     map[fault]bool     // the faults that go away when they were met
	happened map[fault]int      // how often a fault was really met
	calls    map[fault]int
	gates    map[fault]chan struct{} // the calls that wait until theirs is closed
	left     int                     // the calls that change something until the power is cut
	powered  bool                    // whether left means nothing
}

// fault names calls by their kind ("read", "write", "sync") and the end of the file's name ("-wal", ".db").
type fault struct{ call, suffix string }

var diskNumber atomic.Int32

type (
	openFunc  = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32
	closeFunc = func(tls *libc.TLS, file uintptr) int32
	ioFunc    = func(tls *libc.TLS, file, buffer uintptr, n int32, offset sqlite3.Tsqlite3_int64) int32
	syncFunc  = func(tls *libc.TLS, file uintptr, flags int32) int32
)

// newDisk registers a file system until the test's end.
func newDisk(t *testing.T) *disk {
	t.Helper()
	d, unregister, err := registerDisk()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unregister)
	return d
}

// registerDisk registers a file system. SQLite's own is copied, with four of its
// functions replaced by ones that look for a fault and then call the original.
func registerDisk() (_ *disk, unregister func(), err error) {
	d := &disk{name: "disk" + string('a'+diskNumber.Add(1)), files: map[uintptr]string{},
		faults: map[fault]int32{}, once: map[fault]bool{}, happened: map[fault]int{}, calls: map[fault]int{}, gates: map[fault]chan struct{}{}, powered: true}
	tls := libc.NewTLS()
	original := sqlite3.Xsqlite3_vfs_find(tls, 0)
	name, err := libc.CString(d.name)
	if err != nil {
		return nil, nil, err
	}
	vfs := clone[sqlite3.Tsqlite3_vfs](tls, original)
	at[sqlite3.Tsqlite3_vfs](vfs).FzName = name
	open := function[openFunc](at[sqlite3.Tsqlite3_vfs](original).FxOpen)
	methods := map[uintptr]uintptr{} // SQLite's table of a file's methods → ours
	keep := []any{}                  // the garbage collector does not see functions that only C memory points to
	opener := func(tls *libc.TLS, _, name, file uintptr, flags int32, outFlags uintptr) int32 {
		code := open(tls, original, name, file, flags, outFlags)
		theirs := at[sqlite3.Tsqlite3_file](file).FpMethods
		if code != sqlite3.SQLITE_OK || theirs == 0 {
			return code
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.files[file] = libc.GoString(name)
		if methods[theirs] == 0 {
			ours, functions := d.methods(tls, theirs)
			methods[theirs] = ours
			keep = append(keep, functions...)
		}
		at[sqlite3.Tsqlite3_file](file).FpMethods = methods[theirs]
		return code
	}
	at[sqlite3.Tsqlite3_vfs](vfs).FxOpen = address(opener)
	if code := sqlite3.Xsqlite3_vfs_register(tls, vfs, 0); code != sqlite3.SQLITE_OK {
		return nil, nil, fmt.Errorf("register the file system: %d", code)
	}
	return d, func() {
		sqlite3.Xsqlite3_vfs_unregister(tls, vfs)
		for _, ours := range methods {
			libc.Xfree(tls, ours)
		}
		libc.Xfree(tls, vfs)
		libc.Xfree(tls, name)
		tls.Close()
		keep, opener = nil, nil
	}, nil
}

// methods copies a file's table of methods and replaces close, read, write and sync.
func (d *disk) methods(tls *libc.TLS, theirs uintptr) (ours uintptr, functions []any) {
	table := at[sqlite3.Tsqlite3_io_methods](theirs)
	ours = clone[sqlite3.Tsqlite3_io_methods](tls, theirs)
	closeFile, read := function[closeFunc](table.FxClose), function[ioFunc](table.FxRead)
	write, sync := function[ioFunc](table.FxWrite), function[syncFunc](table.FxSync)
	closer := func(tls *libc.TLS, file uintptr) int32 {
		d.mu.Lock()
		delete(d.files, file)
		d.mu.Unlock()
		return closeFile(tls, file)
	}
	reader := func(tls *libc.TLS, file, buffer uintptr, n int32, offset sqlite3.Tsqlite3_int64) int32 {
		if code := d.meet("read", file); code != 0 {
			return code
		}
		return read(tls, file, buffer, n, offset)
	}
	writer := func(tls *libc.TLS, file, buffer uintptr, n int32, offset sqlite3.Tsqlite3_int64) int32 {
		if code := d.meet("write", file); code != 0 {
			return code
		}
		return write(tls, file, buffer, n, offset)
	}
	syncer := func(tls *libc.TLS, file uintptr, flags int32) int32 {
		d.wait("sync", file)
		if code := d.meet("sync", file); code != 0 {
			return code
		}
		return sync(tls, file, flags)
	}
	copied := at[sqlite3.Tsqlite3_io_methods](ours)
	copied.FxClose, copied.FxRead, copied.FxWrite, copied.FxSync = address(closer), address(reader), address(writer), address(syncer)
	return ours, []any{closer, reader, writer, syncer}
}

// block keeps calls waiting until release is called.
func (d *disk) block(call, suffix string) (release func()) {
	gate := make(chan struct{})
	d.mu.Lock()
	d.gates[fault{call, suffix}] = gate
	d.mu.Unlock()
	return func() {
		d.mu.Lock()
		delete(d.gates, fault{call, suffix})
		d.mu.Unlock()
		close(gate)
	}
}

// wait waits where a call is blocked.
func (d *disk) wait(call string, file uintptr) {
	d.mu.Lock()
	var gate chan struct{}
	for f, g := range d.gates {
		if f.call == call && strings.HasSuffix(d.files[file], f.suffix) {
			gate = g
		}
	}
	d.mu.Unlock()
	if gate != nil {
		<-gate
	}
}

// meet counts a call and answers the fault that stands in its way, or 0.
func (d *disk) meet(call string, file uintptr) int32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.powered && call != "read" {
		if d.left == 0 {
			return sqlite3.SQLITE_IOERR_WRITE
		}
		d.left--
	}
	name := d.files[file]
	for _, suffix := range []string{"-wal", ".db", ".new"} {
		if strings.HasSuffix(name, suffix) {
			key := fault{call, suffix}
			d.calls[key]++
			if code := d.faults[key]; code != 0 {
				d.happened[key]++
				if d.once[key] {
					delete(d.faults, key)
				}
				return code
			}
		}
	}
	return 0
}

// fail lets calls fail with a result code of SQLite from now on.
func (d *disk) fail(call, suffix string, code int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults[fault{call, suffix}] = code
}

// failOnce lets the next call of a kind fail, and no other.
func (d *disk) failOnce(call, suffix string, code int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults[fault{call, suffix}], d.once[fault{call, suffix}] = code, true
}

// cut lets n more calls change something, and none after them.
func (d *disk) cut(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.powered, d.left = false, n
}

// heal lets every call succeed again.
func (d *disk) heal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.powered = true
	clear(d.faults)
}

// failed is how often calls of a kind really failed.
func (d *disk) failed(call, suffix string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.happened[fault{call, suffix}]
}

// count is how often calls of a kind were made.
func (d *disk) count(call, suffix string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls[fault{call, suffix}]
}

// at is the C structure at an address of SQLite's memory.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

// clone copies a C structure into memory of its own.
func clone[T any](tls *libc.TLS, p uintptr) uintptr {
	size := unsafe.Sizeof(*new(T))
	q := libc.Xmalloc(tls, libc.Tsize_t(size))
	*at[T](q) = *at[T](p)
	return q
}

// function is the Go function behind a C function pointer, and address the other way round.
func function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&p)) }

func address[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }
