package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"belfry/internal/cmdline"
	"belfry/internal/identity"
	"belfry/internal/sqldb"
)

// host calls the API as the command line: through the socket of a running server, or, where none runs,
// through a server of its own that nobody else can reach. Either way it is the same routes over HTTP.
type host struct {
	name   string // for errors
	client *http.Client
	close  func() error
}

// newHost makes a host that reaches its server through dial.
func newHost(name string, dial func(context.Context) (net.Conn, error), closing func() error) *host {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
	return &host{name: name, client: &http.Client{Transport: transport, Timeout: 30 * time.Second}, close: func() error {
		transport.CloseIdleConnections()
		return closing()
	}}
}

// openHost opens the database, or finds the server that has it open.
func openHost(p *process) (*host, error) {
	path := p.config.database
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("there is no database yet: start belfry once to make it (%w)", err)
	}
	db, err := openStore(p.ctx, path, "", p.log)
	if errors.Is(err, sqldb.ErrLocked) {
		dial := func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socketPath(path))
		}
		return newHost("the server that has the database open", dial, func() error { return nil }), nil
	}
	if err != nil {
		return nil, err
	}
	pipes := make(pipeListener)
	web := newHTTP(asHost(newServer(db, p.log, outside{}).handler()), p.log)
	go func() { _ = serveOn(web, pipes) }() // ends with Shutdown, which is all it can tell
	return newHost("Belfry", pipes.dial, func() error { return errors.Join(web.Shutdown(context.Background()), db.Close()) }), nil
}

// pipeListener hands connections over inside the process.
type pipeListener chan net.Conn

func (l pipeListener) dial(context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	l <- theirs
	return ours, nil
}

// Accept waits for the next connection.
func (l pipeListener) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

// Close ends Accept.
func (l pipeListener) Close() error { close(l); return nil }

// Addr is needed by net.Listener.
func (l pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// do sends a JSON body, nil for none, and reads the answer into result, nil for none.
func (h *host) do(ctx context.Context, method, path string, body, result any) error {
	var text io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		text = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://belfry/api/v3"+path, text)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := h.client.Do(request)
	if err != nil {
		return fmt.Errorf("%s does not answer: %w", h.name, err)
	}
	defer answer.Body.Close()
	reply, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode >= 300 {
		return refusal(answer.StatusCode, reply)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(reply, result)
}

// refusal puts an answer's errors into one sentence: field: message; field: message.
func refusal(status int, reply []byte) error {
	var fields map[string]any
	if json.Unmarshal(reply, &fields) != nil {
		return fmt.Errorf("the server answered %d", status)
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		message := strings.Join(messages(fields[name]), " ")
		if name != "detail" && name != "non_field_errors" {
			message = name + ": " + message
		}
		parts = append(parts, message)
	}
	return errors.New(strings.Join(parts, "; "))
}

// messages are all the texts in a decoded error, however deep.
func messages(value any) (all []string) {
	switch value := value.(type) {
	case string:
		return []string{value}
	case []any:
		for _, v := range value {
			all = append(all, messages(v)...)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			all = append(all, messages(value[name])...)
		}
	}
	return all
}

// withHost runs work on the API and closes what it opened.
func withHost(p *process, work func(*host) error) (err error) {
	h, err := openHost(p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	return work(h)
}

// userNamed is the pk of the user with a name.
func (h *host) userNamed(ctx context.Context, name string) (int64, error) {
	var list struct {
		Results []struct{ PK int64 }
	}
	if err := h.do(ctx, http.MethodGet, "/core/users/?username="+url.QueryEscape(name), nil, &list); err != nil {
		return 0, err
	}
	if len(list.Results) == 0 {
		return 0, fmt.Errorf("there is no user %q", name)
	}
	return list.Results[0].PK, nil
}

type tokenCreate struct {
	Identifier, User, Expires string
	Scopes                    []string
}

func (c *tokenCreate) command(p *process) *cmdline.Command {
	return &cmdline.Command{
		Name: "create", Help: "Create a token and print its key, which is shown this once.", Run: func() error { return c.run(p) },
		Flags: []*cmdline.Flag{
			{Name: "identifier", To: &c.Identifier, Placeholder: "STRING", Help: "Name of the token; made up where it is not given."},
			{Name: "user", To: &c.User, Default: "akadmin", Placeholder: "USERNAME", Help: "Whose token it is."},
			{Name: "scopes", To: &c.Scopes, Default: "admin", Placeholder: "SCOPE", Help: "What it may do: admin, read, ingest, inbox."},
			{Name: "expires", To: &c.Expires, Default: "8760h", Placeholder: "DURATION", Help: "How long it is valid, such as 720h; never ends with 0."},
		},
	}
}

// run creates the token; its key alone goes to standard output, so that a script can take it.
func (c *tokenCreate) run(p *process) error {
	life, err := time.ParseDuration(c.Expires)
	if err != nil || life < 0 {
		return usageError{fmt.Errorf("--expires: %q is not a duration, such as 720h", c.Expires)}
	}
	if c.Identifier == "" {
		c.Identifier = "cli-" + time.Now().UTC().Format("20060102-150405.000000000")
		c.Identifier = strings.ReplaceAll(c.Identifier, ".", "-")
	}
	body := map[string]any{"identifier": c.Identifier, "intent": "api", "scopes": c.Scopes, "expiring": life > 0,
		"description": "Created on the command line"}
	if life > 0 {
		body["expires"] = time.Now().Add(life).UTC().Format(time.RFC3339)
	}
	return withHost(p, func(h *host) error {
		pk, err := h.userNamed(p.ctx, c.User)
		if err != nil {
			return err
		}
		body["user"] = pk
		var made struct{ Key string }
		if err := h.do(p.ctx, http.MethodPost, "/core/tokens/", body, &made); err != nil {
			return err
		}
		fmt.Fprintf(p.errs, "Token %s of %s, shown this once:\n", c.Identifier, c.User)
		_, err = fmt.Fprintln(p.out, made.Key)
		return err
	})
}

// listTokens lists every token of everybody.
func listTokens(p *process) error {
	type token struct {
		Identifier, Expires string
		Expiring            bool
		Scopes              []string
		User                struct{ Username string } `json:"user_obj"`
	}
	return withHost(p, func(h *host) error {
		table := tabwriter.NewWriter(p.out, 0, 8, 2, ' ', 0)
		fmt.Fprintln(table, "IDENTIFIER\tUSER\tSCOPES\tEXPIRES")
		for page := 1; page != 0; {
			var list struct {
				Pagination struct{ Next int }
				Results    []token
			}
			if err := h.do(p.ctx, http.MethodGet, "/core/tokens/?page="+strconv.Itoa(page), nil, &list); err != nil {
				return err
			}
			for _, t := range list.Results {
				if !t.Expiring {
					t.Expires = "never"
				}
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", t.Identifier, t.User.Username, strings.Join(t.Scopes, ","), t.Expires)
			}
			page = list.Pagination.Next
		}
		return table.Flush()
	})
}

type tokenRevoke struct{ Identifier string }

func (c *tokenRevoke) command(p *process) *cmdline.Command {
	return &cmdline.Command{
		Name: "revoke", Help: "Delete a token: the next request with it is refused.", Run: func() error { return c.run(p) },
		Args: []cmdline.Arg{{Name: "identifier", To: &c.Identifier, Help: "Name of the token."}},
	}
}

// run deletes the token.
func (c *tokenRevoke) run(p *process) error {
	return withHost(p, func(h *host) error {
		return h.do(p.ctx, http.MethodDelete, "/core/tokens/"+url.PathEscape(c.Identifier)+"/", nil, nil)
	})
}

type userCreate struct {
	Username, Name, Email string
	Admin                 bool
}

func (c *userCreate) command(p *process) *cmdline.Command {
	return &cmdline.Command{
		Name: "create", Help: "Create a user.", Run: func() error { return c.run(p) },
		Args: []cmdline.Arg{{Name: "username", To: &c.Username, Help: "Name to sign in with."}},
		Flags: []*cmdline.Flag{
			{Name: "name", To: &c.Name, Placeholder: "STRING", Help: "Name to show."},
			{Name: "email", To: &c.Email, Placeholder: "STRING", Help: "Address for e-mail."},
			{Name: "admin", To: &c.Admin, Help: "Make it a superuser, through the group authentik Admins."},
		},
	}
}

// run creates the user and, for an admin, its membership.
func (c *userCreate) run(p *process) error {
	return withHost(p, func(h *host) error {
		body := map[string]any{"username": c.Username, "name": c.Name, "email": c.Email}
		if c.Admin {
			group, err := h.adminsGroup(p.ctx)
			if err != nil {
				return err
			}
			body["groups"] = []string{group}
		}
		var made struct{ PK int64 }
		if err := h.do(p.ctx, http.MethodPost, "/core/users/", body, &made); err != nil {
			return err
		}
		_, err := fmt.Fprintf(p.out, "Created the user %s with the key %d.\n", c.Username, made.PK)
		return err
	})
}

// adminsGroup is the key of the group that the first start made for superusers.
func (h *host) adminsGroup(ctx context.Context) (string, error) {
	var list struct {
		Results []struct{ PK string }
	}
	query := url.Values{"name": {identity.AdminsGroup}, "is_superuser": {"true"}, "include_users": {"false"}}
	if err := h.do(ctx, http.MethodGet, "/core/groups/?"+query.Encode(), nil, &list); err != nil {
		return "", err
	}
	if len(list.Results) == 0 {
		return "", fmt.Errorf("there is no group %q of superusers any more: make the user without --admin and add it to a group over the API", identity.AdminsGroup)
	}
	return list.Results[0].PK, nil
}

type userPassword struct{ Username string }

func (c *userPassword) command(p *process) *cmdline.Command {
	return &cmdline.Command{
		Name: "password", Help: "Set a user's password, read from standard input.", Run: func() error { return c.run(p) },
		Args: []cmdline.Arg{{Name: "username", To: &c.Username, Help: "Whose password to set."}},
	}
}

// run sets the password to the first line of standard input: on the command line it would be visible to others.
func (c *userPassword) run(p *process) error {
	fmt.Fprint(p.errs, "New password: ")
	password, err := readPassword(p.in)
	fmt.Fprintln(p.errs)
	if err != nil {
		return fmt.Errorf("read the password: %w", err)
	}
	return withHost(p, func(h *host) error {
		pk, err := h.userNamed(p.ctx, c.Username)
		if err != nil {
			return err
		}
		body := map[string]string{"password": password}
		if err := h.do(p.ctx, http.MethodPost, fmt.Sprintf("/core/users/%d/set_password/", pk), body, nil); err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.errs, "The password of %s is set.\n", c.Username)
		return err
	})
}

// readPassword reads a line, without showing it where it is typed.
func readPassword(in io.Reader) (string, error) {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		typed, err := term.ReadPassword(int(f.Fd()))
		return string(typed), err
	}
	line, err := bufio.NewReader(in).ReadString('\n')
	if errors.Is(err, io.EOF) {
		err = nil // a last line without its break
	}
	return strings.TrimRight(line, "\r\n"), err
}

// quoteShell quotes a word for a shell where it needs to be.
func quoteShell(word string) string {
	if strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
