package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"belfry/internal/identity"
	"belfry/internal/outbound"
)

// settings are the flags and variables after checking.
type settings struct {
	listen    string
	database  string
	level     slog.Level
	proxies   identity.Proxies
	bootstrap string // the first token, chosen by the operator; "" for one of our own
	shown     string // what stands for it in a shell: it is never printed itself
	outbound  outbound.Options
	mail      *outbound.MailOptions // nil: no mail is sent
}

// settings checks everything at once, so that all mistakes are reported together.
func (c *cli) settings(p *process, command string) (settings, error) {
	s := settings{listen: c.Listen, database: c.Database}
	var problems []error
	if err := checkAddress(c.Listen); err != nil {
		problems = append(problems, fmt.Errorf("--listen (BELFRY_LISTEN): %w", err))
	}
	if err := checkDatabase(c.Database); err != nil {
		problems = append(problems, fmt.Errorf("--database (BELFRY_DATABASE): %w", err))
	}
	if err := s.level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		problems = append(problems, fmt.Errorf("--log-level (BELFRY_LOG_LEVEL): %q is none of debug, info, warn, error", c.LogLevel))
	}
	var err error
	if s.proxies, err = identity.ParseProxies(c.TrustedProxies); err != nil {
		problems = append(problems, fmt.Errorf("--trusted-proxies (BELFRY_TRUSTED_PROXIES): %w", err))
	}
	if _, err := os.Stat(c.Database); command == "serve" && errors.Is(err, fs.ErrNotExist) {
		// Only a database that is going to be made needs a first token. Later its file may be gone.
		if s.bootstrap, s.shown, err = bootstrapKey(p); err != nil {
			problems = append(problems, err)
		}
	}
	if command == "serve" {
		var err error
		s.outbound, s.mail, err = c.Serve.settings(p)
		problems = append(problems, err)
	}
	return s, errors.Join(problems...)
}

// checkAddress wants HOST:PORT with a number for the port; the host may be empty for all addresses.
func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT, such as 127.0.0.1:9000", address)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("the port %q is not a number from 0 to 65535", port)
	}
	return nil
}

// checkDatabase wants the path of a file.
func checkDatabase(path string) error {
	switch {
	case path == "":
		return errors.New("the path is empty")
	case strings.HasPrefix(path, "postgres://"), strings.HasPrefix(path, "postgresql://"):
		return errors.New("PostgreSQL is not served yet; give the path of a file")
	case strings.ContainsAny(path, "\x00?#%"):
		return fmt.Errorf("the path %q holds one of ? # %%, which SQLite reads as more than a path", path)
	}
	return nil
}

// bootstrapKey reads the first token from the environment, and says how a shell gets at it. Belfry's own variable
// counts before authentik's.
func bootstrapKey(p *process) (key, shown string, err error) {
	for _, name := range []string{"BELFRY_BOOTSTRAP_TOKEN", "AUTHENTIK_BOOTSTRAP_TOKEN"} {
		if key, shown, err = secret(p, name); err != nil {
			return "", "", err
		}
		if key == "" {
			continue
		}
		if err := identity.CheckBootstrapKey(key); err != nil {
			return "", "", fmt.Errorf("%s: %w", name, err)
		}
		return key, shown, nil
	}
	return "", "", nil
}

// secret reads a secret from the variable name, or from the file that name_FILE names, and says how a shell gets
// at it; "" when neither is set.
func secret(p *process, name string) (value, shown string, err error) {
	value, _ = p.env(name)
	file, _ := p.env(name + "_FILE")
	switch {
	case value != "" && file != "":
		return "", "", fmt.Errorf("both %s and %s_FILE are set: unset one of them", name, name)
	case file == "":
		return value, "$" + name, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", "", fmt.Errorf("%s_FILE: %w", name, err)
	}
	if value = strings.TrimRight(string(text), "\r\n"); value == "" {
		return "", "", fmt.Errorf("%s_FILE: %s is empty", name, file)
	}
	return value, "$(cat " + quoteShell(file) + ")", nil
}

// secretVariables are the environment variables with Belfry's prefix that have no flag.
var secretVariables = []string{"BELFRY_BOOTSTRAP_TOKEN", "BELFRY_BOOTSTRAP_TOKEN_FILE", "BELFRY_SMTP_PASSWORD", "BELFRY_SMTP_PASSWORD_FILE"}

// warnUnknown warns of variables that look like settings and are none: most are misspelt.
func warnUnknown(p *process, known []string) {
	known = slices.Concat(known, secretVariables)
	for _, variable := range p.names() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "BELFRY_") && !strings.HasPrefix(name, "BELFRY_TEST_") && !slices.Contains(known, name) {
			p.log.Warn("an environment variable is not known and has no effect", "name", name)
		}
	}
}

// newLogger writes text to a terminal and JSON elsewhere. Both quote what they are given, so that text of an
// event cannot forge a line.
func newLogger(w io.Writer, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return slog.New(slog.NewTextHandler(w, options))
		}
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
