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

// plainAnswers are what the ceiling answers: Belfry's own answers, cut where something of the request goes in.
type plainAnswers struct {
	Notification, Event cut
	SyncFile            string // where every request is written and synced before its answer; "" for nowhere
}

// cut is an answer without a part in its middle.
type cut struct{ Before, After []byte }

// cutNotification cuts a notification before and after the value of seen.
func cutNotification(answer []byte) (cut, error) {
	before, after, ok := bytes.Cut(answer, []byte(`"seen":false`))
	if !ok {
		return cut{}, fmt.Errorf("no unseen notification: %s", answer)
	}
	return cut{append(bytes.Clone(before), `"seen":`...), after}, nil
}

// cutEvent cuts what comes with the request out of an event: all between its key and its times.
func cutEvent(answer []byte) (cut, error) {
	start, end := bytes.Index(answer, []byte(`,"user":`)), bytes.Index(answer, []byte(`,"created":`))
	if start < 0 || end < start {
		return cut{}, fmt.Errorf("no event: %s", answer)
	}
	return cut{answer[:start], answer[end:]}, nil
}

// serveCeiling is the least that a Go server with Belfry's router can do for a PATCH or a POST: read the body as strictly,
// answer as much, store nothing. The answers come in, the address goes out.
func serveCeiling(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	var answers plainAnswers
	if err := json.NewDecoder(in).Decode(&answers); err != nil {
		return fmt.Errorf("read the answers: %w", err)
	}
	file := &syncFile{}
	if answers.SyncFile != "" {
		if file, err = openSyncFile(answers.SyncFile); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.close()) }()
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	router := mux.NewRouter()
	router.Handle(notificationsPath+"{uuid}/", plain{answers.Notification, http.StatusOK, appendSeen, file})
	router.Handle(eventsPath, plain{answers.Event, http.StatusCreated, appendEvent, file})
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

// plain answers one kind of request.
type plain struct {
	cut
	status int
	middle func(dst, body []byte) ([]byte, error) // appends what of the body is answered
	file   *syncFile
}

// ServeHTTP reads the body, appends what is answered of it, and syncs where that is asked for.
func (p plain) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "no JSON", http.StatusUnsupportedMediaType)
		return
	}
	answer := append(make([]byte, 0, len(p.Before)+len(body)+len(p.After)+64), p.Before...)
	if answer, err = p.middle(answer, body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := p.file.write(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer = append(answer, p.After...)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	w.WriteHeader(p.status)
	w.Write(answer) // a client that has gone is its own affair
}

// appendSeen appends the value of seen.
func appendSeen(dst, body []byte) ([]byte, error) {
	seen, err := decodeSeen(body)
	return strconv.AppendBool(dst, seen), err
}

// decodeSeen reads {"seen": true}: keys that are not known are passed over.
func decodeSeen(body []byte) (seen bool, err error) {
	err = decodeObject(body, func(name string, d *jsontext.Decoder) error {
		if name != "seen" {
			return d.SkipValue()
		}
		value, err := d.ReadToken()
		if err != nil {
			return err
		}
		if kind := value.Kind(); kind != jsontext.KindTrue && kind != jsontext.KindFalse {
			return errors.New("seen is not a boolean")
		}
		seen = value.Bool()
		return nil
	})
	return seen, err
}

// decodeObject reads an object; member reads the value of each of its members. Repeated keys, bytes that are not UTF-8
// (jsontext refuses both), whatever follows the object and what is beyond Belfry's bounds are refused.
func decodeObject(body []byte, member func(name string, d *jsontext.Decoder) error) error {
	if err := checkBounds(body); err != nil {
		return err
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(body)) // a Buffer is read in place
	if token, err := d.ReadToken(); err != nil || token.Kind() != jsontext.KindBeginObject {
		return errors.Join(errors.New("no object"), err)
	}
	for d.PeekKind() != jsontext.KindEndObject {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		if err := member(name.String(), d); err != nil {
			return err
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the object")
	}
	return nil
}
