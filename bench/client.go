package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// answerTime is how long an answer may take before the measurement is given up.
const answerTime = 30 * time.Second

// connection is one keep-alive connection. It is no general client: it sends bytes that were made before and reads
// only as much of HTTP/1.1 as Belfry and the ceiling answer, so that the load takes little of the processor.
type connection struct {
	net.Conn
	in   *bufio.Reader
	body []byte // of the last answer; used again for the next
}

func dial(ctx context.Context, address string) (*connection, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: c, in: bufio.NewReaderSize(c, 16<<10)}, nil
}

// send makes one request. The body is good until the next one.
func (c *connection) send(request []byte) (status int, body []byte, err error) {
	if _, err := c.Write(request); err != nil {
		return 0, nil, err
	}
	status, c.body, err = readAnswer(c.in, c.body)
	return status, c.body, err
}

// readAnswer reads one answer, its body into buf if that is large enough. An answer whose length is not given, or
// after which the connection is closed, is an error.
func readAnswer(in *bufio.Reader, buf []byte) (status int, body []byte, err error) {
	line, err := readLine(in)
	if err != nil {
		return 0, nil, fmt.Errorf("read the status line: %w", err)
	}
	if status, err = parseStatus(line); err != nil {
		return 0, nil, err
	}
	length, err := readHeader(in)
	if err != nil {
		return 0, nil, err
	}
	if length < 0 {
		if status != 204 && status != 304 {
			return 0, nil, errors.New("the answer has no Content-Length")
		}
		length = 0
	}
	if cap(buf) < length {
		buf = make([]byte, length)
	}
	buf = buf[:length]
	if _, err = io.ReadFull(in, buf); err != nil {
		return 0, nil, fmt.Errorf("read the body: %w", err)
	}
	return status, buf, nil
}

// readLine reads a line without its end; it is good until the next read.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'}), nil
}

// parseStatus reads "HTTP/1.1 200 OK".
func parseStatus(line []byte) (int, error) {
	rest, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	if ok && len(rest) >= 3 && (len(rest) == 3 || rest[3] == ' ') {
		if status, err := strconv.Atoi(string(rest[:3])); err == nil && status >= 100 {
			return status, nil
		}
	}
	return 0, fmt.Errorf("%q is no status line of HTTP/1.1", line)
}

// readHeader reads up to the empty line and answers the body's length, -1 where none is given.
func readHeader(in *bufio.Reader) (length int, err error) {
	length = -1
	for {
		line, err := readLine(in)
		if err != nil {
			return 0, fmt.Errorf("read the header: %w", err)
		}
		if len(line) == 0 {
			return length, nil
		}
		name, value, ok := bytes.Cut(line, []byte{':'})
		if !ok {
			return 0, fmt.Errorf("%q is no header line", line)
		}
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 {
				return 0, fmt.Errorf("the Content-Length is %q", value)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			return 0, errors.New("the answer comes in chunks")
		case bytes.EqualFold(name, []byte("Connection")) && bytes.EqualFold(value, []byte("close")):
			return 0, errors.New("the server closes the connection")
		}
	}
}

// buildRequest makes the bytes of one request; body may be empty.
func buildRequest(method, path, token, body string) []byte {
	return buildTyped(method, path, token, "application/json", body)
}

// buildTyped makes the bytes of a request whose body is of another kind.
func buildTyped(method, path, token, contentType, body string) []byte {
	out := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: belfry\r\nAuthorization: Bearer %s\r\n", method, path, token)
	if body != "" {
		out = fmt.Appendf(out, "Content-Type: %s\r\nContent-Length: %d\r\n", contentType, len(body))
	}
	return append(append(out, '\r', '\n'), body...)
}
