package main

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"belfry/internal/cmdline"
	"belfry/internal/identity"
)

// Limits on what one client can hold. A client that sends or reads too slowly is closed.
const (
	headerTime  = 10 * time.Second
	readTime    = 30 * time.Second
	writeTime   = requestTime + 5*time.Second // from the request's header on; answers to what takes long set their own
	idleTime    = 30 * time.Second
	headerBytes = 64 << 10
	// stopTime is what running requests get to finish in when Belfry is told to stop.
	stopTime = 8 * time.Second
)

// serveCommand is the server's own flags.
type serveCommand struct {
	outboundFlags
	Demo bool
}

func (c *serveCommand) command(p *process) *cmdline.Command {
	demo := &cmdline.Flag{Name: "demo", To: &c.Demo, Env: "BELFRY_DEMO", Help: "Fill a new database with invented people, rules and two months of events."}
	return &cmdline.Command{Name: "serve", Help: "Serve the API and the admin page (the default).", Flags: append(c.flags(), demo), Run: func() error { return c.run(p) }}
}

// run serves until it is told to stop: streams first, then HTTP, then the worker, which has claimed nothing more since it was told,
// then retention, then the database, so that all that was begun is finished. The port is taken first: a start that fails for it makes no database, whose token nobody saw.
func (c *serveCommand) run(p *process) (err error) {
	listener, err := net.Listen("tcp", p.config.listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", p.config.listen, err)
	}
	defer listener.Close() // closed already where it served
	key := p.config.bootstrap
	if key == "" {
		key = identity.NewKey()
	}
	db, err := openStore(p.ctx, p.config.database, identity.HashKey(key), p.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var filled *demonstration
	if c.Demo {
		if filled, err = fillDemo(p.ctx, db); err != nil && db.Created() {
			return fmt.Errorf("%w; the database was made all the same: belfry token create gives a token for it", err)
		} else if err != nil {
			return err
		}
	}
	socket, err := listenSocket(p.config.database)
	if err != nil {
		p.log.Warn("no socket for commands: they work only while the server is stopped", "error", err)
	}
	stdlog.SetOutput(slog.NewLogLogger(p.log.Handler(), slog.LevelDebug).Writer()) // net/http tells of odd receivers there
	out, err := newOutside(p.ctx, db, &p.config)
	if err != nil {
		return err
	}
	defer out.client.Close()
	s := newServer(db, p.log, out)
	s.identity.Proxies = p.config.proxies
	web := newHTTP(s.handler(), p.log)
	host := newHTTP(asHost(s.handler()), p.log)
	sweeper := &retention{db: db, log: p.log}
	defer sweeper.start(p.ctx)()
	defer s.recorder.start(p.ctx)()
	defer s.startWorker(p.ctx)()
	defer (&indexer{db: db, log: p.log}).start(p.ctx)()
	useAllProcessors()
	keepMemorySmall(p.ctx)
	banner(p, listener.Addr().String(), db.Created(), key, filled)
	return serveAll(p.ctx, p.log, s.endStreams, []serving{{web, listener}, {host, socket}})
}

// newHTTP is a server with limits on headers and time.
func newHTTP(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: headerBytes, ConnContext: untilGone, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// serveOn serves what comes to a listener until the server is closed or the listener fails.
func serveOn(web *http.Server, listener net.Listener) error { return web.Serve(connections{listener}) }

// serving is a server on its listener, which is nil where there is none.
type serving struct {
	server   *http.Server
	listener net.Listener
}

// serveAll serves until ctx ends or one server fails, then ends the streams and lets running requests finish.
func serveAll(ctx context.Context, log *slog.Logger, endStreams func(), all []serving) error {
	failed := make(chan error, len(all))
	for _, s := range all {
		if s.listener != nil {
			go func() { failed <- serveOn(s.server, s.listener) }()
		}
	}
	var err error
	select {
	case <-ctx.Done():
		log.Info("stopping: finishing what was begun")
	case err = <-failed:
	}
	endStreams()
	stop, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	for _, s := range all {
		if closing := s.server.Shutdown(stop); closing != nil {
			log.Warn("some requests did not finish in time and were cut off", "error", closing)
			_ = s.server.Close() // what is left is cut off; there is nobody to tell
		}
	}
	return err
}

// asHost marks requests as coming from the command line on the same machine: who may open the socket may
// open the database file.
func asHost(next http.Handler) http.Handler {
	host := hostCaller()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(identity.WithCaller(r.Context(), host)))
	})
}

// hostCaller may do everything and is nobody.
func hostCaller() identity.Caller {
	return identity.Caller{Host: true, Superuser: true, Scopes: identity.ScopeAdmin}
}

// socketPath is where commands find the server of a database, by whatever name they know it.
func socketPath(database string) string {
	if real, err := filepath.EvalSymlinks(database); err == nil {
		database = real
	}
	return database + ".sock"
}

// listenSocket opens the socket for commands beside the database. It is made in a folder that only we can
// enter and then moved to its place: at no moment can somebody else connect. The database's lock is ours, so
// a socket that is there already belongs to a process that is gone.
func listenSocket(database string) (net.Listener, error) {
	path := socketPath(database)
	folder, err := os.MkdirTemp(filepath.Dir(path), ".sock-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder) // empty by then, or useless
	aside := filepath.Join(folder, "s")
	listener, err := net.Listen("unix", aside)
	if err != nil {
		return nil, err
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false) // it will not be where it was made
	if err = errors.Join(os.Chmod(aside, 0o600), os.Rename(aside, path)); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return &socketListener{Listener: listener, path: path}, nil
}

// socketListener removes its socket when it is closed.
type socketListener struct {
	net.Listener
	path string
}

// Close stops listening and removes the socket.
func (l *socketListener) Close() error { return errors.Join(l.Listener.Close(), os.Remove(l.path)) }

// banner says where Belfry is and what to do next. Only the first start knows a token to show, and shows
// it once; one that the operator chose is never printed.
func banner(p *process, address string, first bool, key string, filled *demonstration) {
	base := "http://" + reachable(address)
	fmt.Fprintf(p.out, "Belfry is ready at %s\nDatabase: %s\n\n", base, p.config.database)
	if filled != nil {
		fmt.Fprintf(p.out, "%s\n\n", filled)
	}
	if !first {
		fmt.Fprintf(p.out, "Get a token:  belfry --database %s token create\n", quoteShell(p.config.database))
		return
	}
	shown := p.config.shown
	if p.config.bootstrap == "" {
		shown = key
		fmt.Fprintf(p.out, "Token of akadmin, shown this once:\n\n  %s\n\n", key)
	} else {
		fmt.Fprintf(p.out, "The token of akadmin is the one that you chose.\n\n")
	}
	fmt.Fprintf(p.out, `Post a first event:

  curl -H "Authorization: Bearer %[2]s" -H 'Content-Type: application/json' \
    -d '{"action":"configuration_error","app":"backup","context":{"message":"The disk is 91 %% full"}}' \
    %[1]s/api/v3/events/events/

A rule that is there from the start has made a notification of it:

  curl -H "Authorization: Bearer %[2]s" '%[1]s/api/v3/events/notifications/?seen=false'

The same in a browser: %[1]s/
`, base, shown)
}

// reachable is an address that a client on this machine can use for one that was listened on.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// checkHealth asks the server at --listen whether it is ready.
func checkHealth(p *process) error {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	url := "http://" + reachable(p.config.listen) + "/-/health/ready/"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{}} // no proxy: the server is on this machine
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusNoContent {
		return fmt.Errorf("%s answered %s", url, answer.Status)
	}
	return nil
}
