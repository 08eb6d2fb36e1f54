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

	_ "golang.org/x/crypto/x509roots/fallback" // certificate roots for an image without any

	"belfry/internal/cmdline"
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

// cli is what the command line fills in. Every flag of the server has an environment variable; what has no flag is a secret.
type cli struct {
	Listen, Database, LogLevel, TrustedProxies string
	Serve                                      serveCommand
}

// commands are the command line: every command and flag, what it is called and what it is for.
func (c *cli) commands(p *process) *cmdline.Command {
	serve := c.Serve.command(p)
	return &cmdline.Command{
		Name:    "belfry",
		Help:    "authentik's Events API as one small binary: an audit log, a notification inbox and a delivery engine on one SQLite file.",
		Default: serve,
		Flags: []*cmdline.Flag{
			{Name: "listen", To: &c.Listen, Default: "127.0.0.1:9000", Env: "BELFRY_LISTEN", Placeholder: "HOST:PORT", Help: "Address and port to listen on."},
			{Name: "database", To: &c.Database, Default: "belfry-data/belfry.db", Env: "BELFRY_DATABASE", Placeholder: "PATH", Help: "Path of the database file."},
			{Name: "log-level", To: &c.LogLevel, Default: "info", Env: "BELFRY_LOG_LEVEL", Placeholder: "LEVEL", Help: "debug, info, warn or error."},
			{Name: "trusted-proxies", To: &c.TrustedProxies, Env: "BELFRY_TRUSTED_PROXIES", Placeholder: "CIDR,…",
				Help: "Addresses and networks of proxies whose X-Forwarded-For and X-Forwarded-Proto count."},
		},
		Commands: []*cmdline.Command{
			serve,
			{Name: "token", Help: "Create, list and revoke tokens.", Commands: []*cmdline.Command{
				new(tokenCreate).command(p),
				{Name: "list", Help: "List all tokens, without their keys.", Run: func() error { return listTokens(p) }},
				new(tokenRevoke).command(p),
			}},
			{Name: "user", Help: "Create users and set passwords.", Commands: []*cmdline.Command{
				new(userCreate).command(p),
				new(userPassword).command(p),
			}},
			{Name: "healthcheck", Help: "Exit 0 when the server at --listen is ready.", Run: func() error { return checkHealth(p) }},
			{Name: "version", Help: "Print the version.", Run: func() error { return printVersion(p) }},
		},
	}
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
	err := runCommand(p, args)
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
	fmt.Fprintf(p.errs, "belfry: %v\n", err)
	return 1
}

// usageError is a mistake in the command line or the environment.
type usageError struct{ error }

// runCommand reads the command line and the settings, and does what they say.
func runCommand(p *process, args []string) error {
	var c cli
	program := c.commands(p)
	call, err := program.Parse(args, p.env)
	if err != nil {
		return usageError{err}
	}
	if call.Help {
		return call.WriteHelp(p.out, cmdline.Width(p.out, p.env))
	}
	if p.config, err = c.settings(p, call.Name()); err != nil {
		return usageError{err}
	}
	p.log = newLogger(p.errs, p.config.level)
	warnUnknown(p, program.Variables())
	return call.Run()
}

// printVersion prints the version of Belfry, and of the API it serves.
func printVersion(p *process) error {
	_, err := fmt.Fprintf(p.out, "belfry %s (API of authentik %s)\n", buildVersion(), compatible)
	return err
}
