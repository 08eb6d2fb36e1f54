// Command belfry is the authentik Events API as one small binary: an audit log, a notification inbox and a
// delivery engine on one SQLite file.
//
// The root package holds the main job, events and notifications, from route to row, and the wiring. Start
// reading at [server.routes].
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // zones for an image without any

	"github.com/alecthomas/kong"
	_ "golang.org/x/crypto/x509roots/fallback" // certificate roots for an image without any
)

// version is set by the linker for a release.
var version = ""

// buildVersion is the release, or the commit that the binary was built from.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return "development"
}

// cli is the command line. Every flag has an environment variable; what has no flag is a secret.
type cli struct {
	Listen         string `help:"Address and port to listen on." default:"127.0.0.1:9000" env:"BELFRY_LISTEN" placeholder:"HOST:PORT"`
	Database       string `help:"Path of the database file." default:"belfry-data/belfry.db" env:"BELFRY_DATABASE" placeholder:"PATH"`
	LogLevel       string `help:"debug, info, warn or error." default:"info" env:"BELFRY_LOG_LEVEL" placeholder:"LEVEL"`
	TrustedProxies string `help:"Addresses and networks of proxies whose X-Forwarded-For and X-Forwarded-Proto count." env:"BELFRY_TRUSTED_PROXIES" placeholder:"CIDR,…"`

	Serve       serveCommand       `cmd:"" default:"withargs" help:"Serve the API and the admin page (the default)."`
	Token       tokenCommands      `cmd:"" help:"Create, list and revoke tokens."`
	User        userCommands       `cmd:"" help:"Create users and set passwords."`
	Healthcheck healthcheckCommand `cmd:"" help:"Exit 0 when the server at --listen is ready."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

// process is what a command works with: the world outside, replaced in tests.
type process struct {
	ctx    context.Context
	in     io.Reader
	out    io.Writer // what was asked for
	errs   io.Writer // logs and problems
	env    func(string) (string, bool)
	names  func() []string // all environment variables, as NAME=value
	log    *slog.Logger
	config settings
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	p := &process{ctx: ctx, in: os.Stdin, out: os.Stdout, errs: os.Stderr, env: os.LookupEnv, names: os.Environ}
	os.Exit(run(p, os.Args[1:]))
}

// run is the whole program; it answers the exit status: 0, 1 for what failed, 2 for a wrong command line.
func run(p *process, args []string) int {
	var c cli
	parser, err := kong.New(&c, kong.Name("belfry"), kong.Writers(p.out, p.errs), kong.UsageOnError(),
		kong.Description("authentik's Events API as one small binary: an audit log, a notification inbox and a delivery engine on one SQLite file."),
		kong.Exit(func(status int) { panic(exit(status)) }))
	if err != nil {
		return fail(p, err)
	}
	return finish(p, func() error {
		command, err := parser.Parse(args)
		if err != nil {
			return usageError{err}
		}
		if p.config, err = c.settings(p, command.Command()); err != nil {
			return usageError{err}
		}
		p.log = newLogger(p.errs, p.config.level)
		warnUnknown(p)
		return command.Run(p)
	})
}

// exit is how kong ends the program after --help.
type exit int

// usageError is a mistake in the command line or the environment.
type usageError struct{ error }

// finish runs work and turns its end into an exit status.
func finish(p *process, work func() error) (status int) {
	defer func() {
		if e := recover(); e != nil {
			code, ok := e.(exit)
			if !ok {
				panic(e)
			}
			status = int(code)
		}
	}()
	err := work()
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled) && p.ctx.Err() != nil:
		return 0 // told to stop before it had begun
	case errors.As(err, &usage):
		fmt.Fprintf(p.errs, "belfry: %v\nSee belfry --help.\n", err)
		return 2
	}
	return fail(p, err)
}

func fail(p *process, err error) int {
	fmt.Fprintf(p.errs, "belfry: %v\n", err)
	return 1
}

type versionCommand struct{}

// Run prints the version of Belfry, and of the API it serves.
func (versionCommand) Run(p *process) error {
	_, err := fmt.Fprintf(p.out, "belfry %s (API of authentik %s)\n", buildVersion(), compatible)
	return err
}
