package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/gorilla/mux"
)

// plainNotification is what the ceiling answers: a real notification of Belfry's, cut before and after the value of seen.
type plainNotification struct{ Before, After []byte }

// cutNotification cuts an answer of Belfry's.
func cutNotification(answer []byte) (plainNotification, error) {
	before, after, ok := bytes.Cut(answer, []byte(`"seen":false`))
	if !ok {
		return plainNotification{}, fmt.Errorf("no unseen notification: %s", answer)
	}
	return plainNotification{Before: append(bytes.Clone(before), `"seen":`...), After: after}, nil
}

// serveCeiling is the least that a Go server with Belfry's router can do for a PATCH: read the body as strictly, answer as
// much, store nothing. The answer comes in, the address goes out.
func serveCeiling(ctx context.Context, in io.Reader, out io.Writer) error {
	var n plainNotification
	if err := json.NewDecoder(in).Decode(&n); err != nil {
		return fmt.Errorf("read the notification: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	router := mux.NewRouter()
	router.Handle("/api/v3/events/notifications/{uuid}/", n)
	server := &http.Server{Handler: router}
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(ctx, func() { server.Close() })
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, in) // nothing more comes: this waits for the end
	}()
	if err := json.NewEncoder(out).Encode(listener.Addr().String()); err != nil {
		return errors.Join(err, listener.Close())
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// ServeHTTP answers a PATCH of seen.
func (n plainNotification) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	seen, err := decodeSeen(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer := make([]byte, 0, len(n.Before)+len(n.After)+len("false"))
	answer = strconv.AppendBool(append(answer, n.Before...), seen)
	answer = append(answer, n.After...)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	w.Write(answer) // a client that has gone is its own affair
}

// decodeSeen reads {"seen": true}: keys that are not known are passed over; repeated keys, bytes that are not UTF-8
// (jsontext refuses both) and whatever follows the object are refused.
func decodeSeen(body []byte) (seen bool, err error) {
	d := jsontext.NewDecoder(bytes.NewReader(body))
	if token, err := d.ReadToken(); err != nil || token.Kind() != jsontext.KindBeginObject {
		return false, errors.Join(errors.New("no object"), err)
	}
	for d.PeekKind() != jsontext.KindEndObject {
		name, err := d.ReadToken()
		if err != nil {
			return false, err
		}
		if name.String() != "seen" {
			if err := d.SkipValue(); err != nil {
				return false, err
			}
			continue
		}
		value, err := d.ReadToken()
		if err != nil {
			return false, err
		}
		if kind := value.Kind(); kind != jsontext.KindTrue && kind != jsontext.KindFalse {
			return false, errors.New("seen is not a boolean")
		}
		seen = value.Bool()
	}
	if _, err := d.ReadToken(); err != nil {
		return false, err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return false, errors.New("something follows the object")
	}
	return seen, nil
}
