package drf

import (
	"bytes"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// largestKept is how large a buffer may have grown to be used again, in bytes: a page of a hundred events fits.
const largestKept = 256 << 10

// buffer is where an answer is written. What is freed is used again for another request.
type buffer struct{ bytes []byte }

var buffers = sync.Pool{New: func() any { return &buffer{bytes: make([]byte, 0, 2<<10)} }}

func newBuffer() *buffer { return buffers.Get().(*buffer) }

// free gives the buffer away: nobody may look at its bytes any more.
func (b *buffer) free() {
	if cap(b.bytes) <= largestKept {
		b.bytes = b.bytes[:0]
		buffers.Put(b)
	}
}

// decoder reads the tokens of a text that is there already.
type decoder struct {
	jsontext.Decoder
	text bytes.Buffer
}

var decoders = sync.Pool{New: func() any { return new(decoder) }}

// newDecoder is a decoder of text. What is read of it is good until it is freed.
func newDecoder(text []byte) *decoder {
	d := decoders.Get().(*decoder)
	d.text = *bytes.NewBuffer(text)
	d.Reset(&d.text)
	return d
}

func (d *decoder) free() {
	d.text = bytes.Buffer{}
	d.Reset(&d.text) // so that it holds on to nothing
	decoders.Put(d)
}
