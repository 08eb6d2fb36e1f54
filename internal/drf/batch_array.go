package drf

import (
	"io"
)

// enter reads the bracket of an array, and its first element.
func (b *Batch) enter() error {
	c, err := b.peek()
	if err != nil {
		return err
	}
	if c != '[' {
		return b.noArray()
	}
	b.discard(1)
	b.scan = (*Batch).nextItem
	c, err = b.peek()
	if err != nil {
		return err
	}
	if c == ']' {
		return b.leave()
	}
	return b.item(c)
}

// noArray is the answer to a body that is something else.
func (b *Batch) noArray() error {
	text, err := io.ReadAll(io.LimitReader(b.in, maxBody+1))
	switch {
	case err != nil:
		return unreadable(err)
	case len(text) > maxBody:
		return tooLarge(maxBody)
	}
	v, _, syntax := parse(text)
	if syntax != nil {
		return syntax.answer(b.at, text)
	}
	return Invalid("", notAList(v))
}

// nextItem reads an element behind another one.
func (b *Batch) nextItem() error {
	c, err := b.peek()
	switch {
	case err != nil:
		return err
	case c == ']':
		return b.leave()
	case c != ',':
		return b.unexpected("unexpected character")
	}
	b.discard(1)
	if c, err = b.peek(); err != nil {
		return err
	}
	return b.item(c)
}

// leave reads the last bracket. Nothing may follow it.
func (b *Batch) leave() error {
	b.discard(1)
	b.scan = (*Batch).end
	switch _, err := b.skipSpace(); err {
	case nil:
		return b.unexpected("unexpected content after the document")
	default:
		return unreadable(err)
	}
}

// item reads the element that begins with c.
func (b *Batch) item(c byte) error {
	if c == ',' || c == ']' {
		return b.unexpected("unexpected character")
	}
	b.begun, b.long = b.at, b.long[:0]
	var scan itemScan
	for done := false; !done; {
		_, err := b.in.Peek(1)
		if err == io.EOF {
			break // half an element, which is no JSON, or an array without its end
		}
		if err != nil {
			return unreadable(err)
		}
		window, _ := b.in.Peek(b.in.Buffered())
		var n int
		n, done = scan.step(window)
		b.keep(window[:n])
		b.discard(n)
	}
	b.Number++
	b.Text = b.long
	if len(b.long) > maxBody {
		b.Text = nil
	}
	return nil
}

// itemScan finds the end of an element by its brackets and quotes. Whether it is JSON is looked at later.
type itemScan struct {
	depth            int
	quoted, escaping bool
}

// step goes on through the bytes that come next, and says how many of them belong to the element and whether it ends there.
func (s *itemScan) step(window []byte) (n int, done bool) {
	for i, c := range window {
		switch {
		case s.escaping:
			s.escaping = false
		case s.quoted:
			s.escaping, s.quoted = c == '\\', c != '"'
			if !s.quoted && s.depth == 0 {
				return i + 1, true
			}
		case c == '"':
			s.quoted = true
		case c == '{' || c == '[':
			s.depth++
		case s.depth == 0:
			if c == ',' || c == ']' || isSpaceJSON(c) {
				return i, true
			}
		case c == '}' || c == ']':
			if s.depth--; s.depth == 0 {
				return i + 1, true
			}
		}
	}
	return len(window), false
}

// peek is the next byte that is no white space; the body may not end before it.
func (b *Batch) peek() (byte, error) {
	c, err := b.skipSpace()
	if err == io.EOF {
		return 0, b.unexpected("unexpected end of data")
	}
	if err != nil {
		err = unreadable(err)
	}
	return c, err
}

// skipSpace passes white space and answers the byte behind it.
func (b *Batch) skipSpace() (byte, error) {
	for {
		next, err := b.in.Peek(1)
		if err != nil {
			return 0, err
		}
		if !isSpaceJSON(next[0]) {
			return next[0], nil
		}
		b.discard(1)
	}
}

// discard passes n bytes that are in the reader's buffer.
func (b *Batch) discard(n int) {
	passed, _ := b.in.Peek(n)
	b.at.pass(passed)
	_, _ = b.in.Discard(n)
}

// unexpected is the answer to an array that is wrong where it was read to.
func (b *Batch) unexpected(words string) *Error {
	return (&syntaxError{words: words}).answer(b.at, nil)
}
