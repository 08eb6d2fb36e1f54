package trigram_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"belfry/internal/trigram"
)

// find answers the places that may hold the term.
func find(t rapid.TB, blocks []trigram.Block, term string) trigram.Set {
	var common trigram.Set
	for i, r := range trigram.Ranges(term) {
		var held trigram.Set
		for _, b := range blocks {
			if err := b.Collect(r, &held); err != nil {
				t.Fatal(err)
			}
		}
		if i > 0 {
			held.Intersect(&common)
		}
		common = held
	}
	return common
}

// texts are of few different characters, so that terms are found: some of two, three and four bytes.
var texts = rapid.StringOfN(rapid.SampledFrom([]rune(`ab %_"\{ßσ漢😀`+"\n")), 0, 60, -1)

func TestEveryTextThatHoldsATermIsFoundAndOfThreeCharactersNoOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := trigram.NewBuilder()
		zone := map[int]string{}
		step := rapid.SampledFrom([]int{1, 1, 7, 300})
		for place := rapid.IntRange(0, 9).Draw(t, "first"); place < trigram.ZoneSize && len(zone) < 200; place += step.Draw(t, "step") {
			zone[place] = texts.Draw(t, "text")
			b.Add(place, zone[place])
		}
		blocks := b.Blocks()
		for range 20 {
			term := rapid.StringOfN(rapid.SampledFrom([]rune(`ab%_"\{ßσ漢😀z`)), 1, 5, -1).Draw(t, "term")
			found := find(t, blocks, term)
			count, exact := 0, len([]rune(term)) <= 3
			may := map[int]bool{}
			for place := range found.Places() {
				count++
				may[place] = true
				if text, ok := zone[place]; !ok || exact && !strings.Contains(text, term) {
					t.Fatalf("%q is not at %d: %q", term, place, text)
				}
			}
			if count != found.Len() {
				t.Fatalf("Len is %d of %d places", found.Len(), count)
			}
			for place, text := range zone {
				if strings.Contains(text, term) && !may[place] {
					t.Fatalf("%q at %d was not found: %q", term, place, text)
				}
			}
		}
	})
}

// TestAFullZoneIsFound is about lists so long that they are kept as bits, and blocks so many that a range spans several.
func TestAFullZoneIsFound(t *testing.T) {
	b := trigram.NewBuilder()
	for place := range trigram.ZoneSize {
		b.Add(place, "x"+string(rune(0x4e00+place))+string(rune(0x4e00+place*7%trigram.ZoneSize))+" common")
	}
	blocks := b.Blocks()
	for i, block := range blocks {
		if len(block.Data) > 4000 || i > 0 && block.First <= blocks[i-1].First {
			t.Fatalf("block %d of %d bytes begins at %d", i, len(block.Data), block.First)
		}
	}
	for _, c := range []struct {
		term string
		want int
	}{{"common", trigram.ZoneSize}, {"x", trigram.ZoneSize}, {"on", trigram.ZoneSize}, {"n", trigram.ZoneSize}, {"x" + string(rune(0x4e00+77)), 1}, {"y", 0}, {"noc", 0}} {
		found := find(t, blocks, c.term)
		if found.Len() != c.want {
			t.Errorf("%q: %d places, want %d", c.term, found.Len(), c.want)
		}
	}
}

func TestADamagedBlockIsNoticed(t *testing.T) {
	b := trigram.NewBuilder()
	b.Add(3, "some text")
	block := b.Blocks()[0]
	all := trigram.Range{Low: 0, High: 1<<63 - 1}
	for i := range block.Data {
		damaged := trigram.Block{First: block.First, Data: append([]byte{}, block.Data...)}
		damaged.Data[i] ^= 4
		if err := damaged.Collect(all, new(trigram.Set)); !errors.Is(err, trigram.ErrDamaged) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	for _, damaged := range []trigram.Block{{block.First + 1, block.Data}, {block.First, block.Data[:len(block.Data)-1]}, {block.First, nil}} {
		if err := damaged.Collect(all, new(trigram.Set)); !errors.Is(err, trigram.ErrDamaged) {
			t.Errorf("%v: %v", damaged, err)
		}
	}
}

// TestNoBlockBreaksItsReader reads arbitrary bytes under a checksum that fits.
func TestNoBlockBreaksItsReader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 0, 1100).Draw(t, "data")
		sum := crc32.ChecksumIEEE(append(make([]byte, 8), data...))
		block := trigram.Block{Data: append(binary.LittleEndian.AppendUint32(nil, sum), data...)}
		var set trigram.Set
		if err := block.Collect(trigram.Range{Low: 0, High: 1<<63 - 1}, &set); err != nil && !errors.Is(err, trigram.ErrDamaged) {
			t.Fatal(err)
		}
	})
}
