package sqlite

import (
	"encoding/binary"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// frameHeader is how many bytes stand before each page in the log. SQLite writes nothing else of that length to it.
	frameHeader = 24
	// gathered is how many bytes are written by one call at most.
	gathered = 64 << 10
)

// offset is a place in a file.
type offset = sqlite3.Tsqlite3_int64

// The methods of a file that frames stands before.
type (
	transfer func(tls *libc.TLS, file, buffer uintptr, n int32, at offset) int32
	truncate func(tls *libc.TLS, file uintptr, size offset) int32
	syncFile func(tls *libc.TLS, file uintptr, flags int32) int32
	fileSize func(tls *libc.TLS, file, size uintptr) int32
)

// frames stands between a connection and the log that it writes. SQLite writes the header of a page's frame and then the page, for
// page after page, each by a system call of its own. Here what is written to the end of the log is gathered, and written by one call
// at the latest with the frame that commits: before SQLite tells other connections of it, and before anybody syncs it. Whatever
// else SQLite wants of the file comes after what was gathered.
type frames struct {
	theirs  sqlite3.Tsqlite3_io_methods
	methods uintptr // the file's sqlite3_io_methods, with our own
	own     [5]any  // which the garbage collector does not see, because only SQLite's memory points to them
	write   transfer

	buffer uintptr
	start  offset // of what is gathered
	n      int    // how many bytes are
	end    offset // of all that was written since the log began anew, or has been seen to be
	commit bool   // the frame that is being written commits
}

// gatherFrames has the frames of the log gathered from now on.
func (c *Conn) gatherFrames(file uintptr) error {
	theirs := at[sqlite3.Tsqlite3_file](file).FpMethods
	if theirs == 0 || theirs == c.frames.methods {
		return nil
	}
	c.frames.free(c.tls)
	f := &frames{theirs: *at[sqlite3.Tsqlite3_io_methods](theirs), buffer: libc.Xmalloc(c.tls, gathered),
		methods: libc.Xmalloc(c.tls, libc.Tsize_t(unsafe.Sizeof(sqlite3.Tsqlite3_io_methods{})))}
	c.frames = f
	if f.buffer == 0 || f.methods == 0 {
		return errMemory
	}
	f.write = function[transfer](f.theirs.FxWrite)
	table := at[sqlite3.Tsqlite3_io_methods](f.methods)
	*table = f.theirs
	table.FxWrite = keep(f, 0, transfer(f.gather))
	table.FxRead = keep(f, 1, transfer(f.read))
	table.FxTruncate = keep(f, 2, truncate(f.truncate))
	table.FxSync = keep(f, 3, syncFile(f.sync))
	table.FxFileSize = keep(f, 4, fileSize(f.size))
	at[sqlite3.Tsqlite3_file](file).FpMethods = f.methods
	return nil
}

// keep keeps a method from the garbage collector and answers SQLite's pointer to it.
func keep[F any](f *frames, place int, method F) uintptr {
	f.own[place] = method
	return *(*uintptr)(unsafe.Pointer(&method))
}

// free gives the memory back, once no file has the methods any more.
func (f *frames) free(tls *libc.TLS) {
	libc.Xfree(tls, f.buffer)
	libc.Xfree(tls, f.methods)
}

// gather is the file's xWrite.
func (f *frames) gather(tls *libc.TLS, file, data uintptr, n int32, at offset) int32 {
	ends := f.commit && n != frameHeader
	if n == frameHeader {
		f.commit = binary.BigEndian.Uint32(libc.GoBytes(data, frameHeader)[4:]) != 0
	}
	if at != f.end || at == 0 || int(n) > gathered {
		return f.through(tls, file, data, n, at)
	}
	if f.n+int(n) > gathered {
		if code := f.flush(tls, file); code != sqlite3.SQLITE_OK {
			return code
		}
	}
	if f.n == 0 {
		f.start = at
	}
	copy(libc.GoBytes(f.buffer+uintptr(f.n), int(n)), libc.GoBytes(data, int(n)))
	f.n += int(n)
	f.end += offset(n)
	if !ends {
		return sqlite3.SQLITE_OK
	}
	code := f.flush(tls, file)
	f.n = 0 // SQLite rolls back what it could not commit
	return code
}

// through writes what does not stand at the end: SQLite begins the log anew, or changes what it has written.
func (f *frames) through(tls *libc.TLS, file, data uintptr, n int32, at offset) int32 {
	if code := f.flush(tls, file); code != sqlite3.SQLITE_OK {
		return code
	}
	if f.end = max(f.end, at+offset(n)); at == 0 {
		f.end = offset(n)
	}
	return f.write(tls, file, data, n, at)
}

// flush writes what is gathered. After a failure it is still there: SQLite may have told itself that it is written.
func (f *frames) flush(tls *libc.TLS, file uintptr) int32 {
	if f.n == 0 {
		return sqlite3.SQLITE_OK
	}
	code := f.write(tls, file, f.buffer, int32(f.n), f.start)
	if code == sqlite3.SQLITE_OK {
		f.n = 0
	}
	return code
}

// read is the file's xRead.
func (f *frames) read(tls *libc.TLS, file, data uintptr, n int32, at offset) int32 {
	if code := f.flush(tls, file); code != sqlite3.SQLITE_OK {
		return code
	}
	return function[transfer](f.theirs.FxRead)(tls, file, data, n, at)
}

// truncate is the file's xTruncate.
func (f *frames) truncate(tls *libc.TLS, file uintptr, size offset) int32 {
	if code := f.flush(tls, file); code != sqlite3.SQLITE_OK {
		return code
	}
	return function[truncate](f.theirs.FxTruncate)(tls, file, size)
}

// sync is the file's xSync.
func (f *frames) sync(tls *libc.TLS, file uintptr, flags int32) int32 {
	if code := f.flush(tls, file); code != sqlite3.SQLITE_OK {
		return code
	}
	return function[syncFile](f.theirs.FxSync)(tls, file, flags)
}

// size is the file's xFileSize.
func (f *frames) size(tls *libc.TLS, file, size uintptr) int32 {
	if code := f.flush(tls, file); code != sqlite3.SQLITE_OK {
		return code
	}
	return function[fileSize](f.theirs.FxFileSize)(tls, file, size)
}

// function is the Go function behind a function pointer of SQLite's.
func function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&p)) }
