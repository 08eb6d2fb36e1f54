package trigram

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
)

const (
	// blockBytes is how long a block may be: with its key it fits on a page of 4 KiB.
	blockBytes = 4000
	// denseBytes is the length of a list of places that is kept as one bit for each place of the zone.
	denseBytes = ZoneSize / 8
	sumBytes   = crc32.Size
)

// ErrDamaged says that a block is not what was written.
var ErrDamaged = errors.New("trigram: a block of the index is damaged")

// Block is a part of a zone's index: the trigrams from First up to the next block's First.
type Block struct {
	First int64
	// Data is a checksum, and then for each trigram: how far it is from the one before, the length of its
	// list, its list. A list is how far each place is from the one before, or a Set when it is denseBytes long.
	Data []byte
}

// Builder collects the texts of one zone.
type Builder struct {
	// ascii is for trigrams of ASCII, by the first two characters and by the third, their place in lists plus one: they
	// are nearly all there are. Most pairs never occur.
	ascii [1 << 14]*[1 << 7]int32
	other map[int64]int32 // the same for all others
	lists []list
}

// list is where a trigram occurs.
type list struct {
	gram  int64
	next  int // the place after the last one
	steps []byte
}

// NewBuilder is a builder of a zone without texts.
func NewBuilder() *Builder {
	return &Builder{other: map[int64]int32{}}
}

// Add adds the text at a place. Places come in ascending order.
func (b *Builder) Add(place int, text string) {
	first, second, plain := rune(-1), rune(-1), 0
	take := func(r rune) {
		if plain++; r >= 0x80 {
			plain = 0
		}
		if first >= 0 {
			b.note(b.slot(first, second, r, plain >= 3), place)
		}
		first, second = second, r
	}
	for _, r := range text {
		take(r)
	}
	take(0)
	take(0)
}

// slot answers the list of a trigram; plain says that all of it is ASCII.
func (b *Builder) slot(first, second, third rune, plain bool) *list {
	if !plain {
		gram := pack(first, second, third)
		if b.other[gram] == 0 {
			b.other[gram] = b.add(gram)
		}
		return &b.lists[b.other[gram]-1]
	}
	pair := int(first)<<7 | int(second)
	if b.ascii[pair] == nil {
		b.ascii[pair] = new([1 << 7]int32)
	}
	at := &b.ascii[pair][third]
	if *at == 0 {
		*at = b.add(pack(first, second, third))
	}
	return &b.lists[*at-1]
}

// add adds an empty list and answers its place, plus one.
func (b *Builder) add(gram int64) int32 {
	b.lists = append(b.lists, list{gram: gram})
	return int32(len(b.lists))
}

// note adds a place to a list, once.
func (*Builder) note(l *list, place int) {
	if l.next <= place {
		l.steps = binary.AppendUvarint(l.steps, uint64(place-l.next))
		l.next = place + 1
	}
}

// Blocks are the zone's index.
func (b *Builder) Blocks() (blocks []Block) {
	slices.SortFunc(b.lists, func(a, b list) int {
		if a.gram < b.gram {
			return -1
		}
		return 1
	})
	var last int64
	for i := range b.lists {
		l := &b.lists[i]
		steps := l.bytes()
		entry := binary.AppendUvarint(nil, uint64(len(steps)))
		if n := len(blocks); n == 0 || len(blocks[n-1].Data)+binary.MaxVarintLen64+len(entry)+len(steps) > blockBytes {
			blocks = append(blocks, Block{First: l.gram, Data: make([]byte, sumBytes, blockBytes)})
			last = l.gram
		}
		data := &blocks[len(blocks)-1].Data
		*data = append(append(binary.AppendUvarint(*data, uint64(l.gram-last)), entry...), steps...)
		last = l.gram
	}
	for _, block := range blocks {
		binary.LittleEndian.PutUint32(block.Data, block.sum())
	}
	return blocks
}

// bytes is the list as a block holds it.
func (l *list) bytes() []byte {
	if len(l.steps) < denseBytes {
		return l.steps
	}
	var set Set
	set.addSteps(l.steps)
	dense := make([]byte, 0, denseBytes)
	for _, word := range set {
		dense = binary.LittleEndian.AppendUint64(dense, word)
	}
	return dense
}

// sum is the checksum of a block's key and data.
func (b Block) sum() uint32 {
	key := binary.LittleEndian.AppendUint64(nil, uint64(b.First))
	return crc32.Update(crc32.ChecksumIEEE(key), crc32.IEEETable, b.Data[sumBytes:])
}

// Collect adds to set the places of all trigrams in the range that the block holds. ErrDamaged when the block is not
// as it was written.
func (b Block) Collect(r Range, set *Set) error {
	if len(b.Data) < sumBytes || binary.LittleEndian.Uint32(b.Data) != b.sum() {
		return ErrDamaged
	}
	gram := b.First
	for data := b.Data[sumBytes:]; len(data) > 0; {
		step, n := binary.Uvarint(data)
		length, m := binary.Uvarint(data[max(n, 0):])
		if n <= 0 || m <= 0 || length > uint64(len(data)-n-m) {
			return ErrDamaged
		}
		gram += int64(step)
		if gram > r.High {
			return nil
		}
		places := data[n+m : n+m+int(length)]
		data = data[n+m+int(length):]
		if gram < r.Low {
			continue
		}
		if !set.addList(places) {
			return ErrDamaged
		}
	}
	return nil
}

// addList adds the places of a list as a block holds it; false when it is none.
func (s *Set) addList(places []byte) bool {
	if len(places) != denseBytes {
		return s.addSteps(places)
	}
	for i := range s {
		s[i] |= binary.LittleEndian.Uint64(places[i*8:])
	}
	return true
}

// addSteps adds places that are written as how far each is from the one before; false when they are no places.
func (s *Set) addSteps(steps []byte) bool {
	for place := 0; len(steps) > 0; place++ {
		step, n := binary.Uvarint(steps)
		if n <= 0 || step >= ZoneSize || place+int(step) >= ZoneSize {
			return false
		}
		place += int(step)
		s.Add(place)
		steps = steps[n:]
	}
	return true
}
