package sqlite

import (
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// frameHeader is how many bytes stand before each page in the log, and largestPage how many a page may have.
	frameHeader = 24
	largestPage = 64 << 10
)

// writeFile is how a file is written: the method xWrite.
type writeFile func(tls *libc.TLS, file, buffer uintptr, n int32, offset sqlite3.Tsqlite3_int64) int32

// frames stands between a connection and the log that it writes. SQLite writes the header of a page's frame and then the page,
// each by a system call of its own, and nothing in between: here both are one call. A header that no page follows is
// written before what comes instead.
type frames struct {
	methods uintptr // the file's sqlite3_io_methods, with our own xWrite
	own     any     // which the garbage collector does not see, because only SQLite's memory points to it
	write   writeFile

	frame  uintptr // room for a header and the page behind it
	held   bool    // there is a header that is not written
	offset sqlite3.Tsqlite3_int64
}

// joinFrames has the frames of the log written by one call each, from now on.
func (c *Conn) joinFrames(file uintptr) error {
	theirs := at[sqlite3.Tsqlite3_file](file).FpMethods
	if theirs == 0 || theirs == c.frames.methods {
		return nil
	}
	c.frames.free(c.tls)
	f := &frames{frame: libc.Xmalloc(c.tls, frameHeader+largestPage),
		methods: libc.Xmalloc(c.tls, libc.Tsize_t(unsafe.Sizeof(sqlite3.Tsqlite3_io_methods{})))}
	c.frames = f
	if f.frame == 0 || f.methods == 0 {
		return errMemory
	}
	table := at[sqlite3.Tsqlite3_io_methods](f.methods)
	*table = *at[sqlite3.Tsqlite3_io_methods](theirs)
	f.write = function[writeFile](table.FxWrite)
	own := writeFile(f.join)
	table.FxWrite, f.own = *(*uintptr)(unsafe.Pointer(&own)), own
	at[sqlite3.Tsqlite3_file](file).FpMethods = f.methods
	return nil
}

// free gives the memory back, once no file has the methods any more.
func (f *frames) free(tls *libc.TLS) {
	libc.Xfree(tls, f.frame)
	libc.Xfree(tls, f.methods)
}

// join is the file's xWrite.
func (f *frames) join(tls *libc.TLS, file, buffer uintptr, n int32, offset sqlite3.Tsqlite3_int64) int32 {
	if f.held {
		f.held = false
		if offset == f.offset+frameHeader && n <= largestPage {
			copy(libc.GoBytes(f.frame+frameHeader, int(n)), libc.GoBytes(buffer, int(n)))
			return f.write(tls, file, f.frame, frameHeader+n, f.offset)
		}
		if code := f.write(tls, file, f.frame, frameHeader, f.offset); code != sqlite3.SQLITE_OK {
			return code
		}
	}
	if n != frameHeader {
		return f.write(tls, file, buffer, n, offset)
	}
	copy(libc.GoBytes(f.frame, frameHeader), libc.GoBytes(buffer, frameHeader))
	f.held, f.offset = true, offset
	return sqlite3.SQLITE_OK
}

// function is the Go function behind a function pointer of SQLite's.
func function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&p)) }
