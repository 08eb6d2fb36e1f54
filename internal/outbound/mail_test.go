package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"pgregory.net/rapid"
)

// mailServer is a real mail server that keeps what it is given.
type mailServer struct {
	host string
	port int

	mechanisms []string // that it offers
	password   string   // that it wants; "" for none
	refuse     error    // what it says to every recipient
	spoil      error    // what it says to every text

	mu    sync.Mutex
	mails []delivered
}

// delivered is what the server was told of one mail.
type delivered struct {
	from     string
	to       []string
	text     string
	tls      bool
	signedIn bool
}

// session is one connection to the server.
type session struct {
	server *mailServer
	conn   *smtp.Conn
	delivered
}

func (s *session) AuthMechanisms() []string { return s.server.mechanisms }

func (s *session) Auth(mechanism string) (sasl.Server, error) {
	check := func(_, username, password string) error {
		if s.signedIn = username == "belfry" && password == s.server.password; !s.signedIn {
			return smtp.ErrAuthFailed
		}
		return nil
	}
	if mechanism == sasl.Plain {
		return sasl.NewPlainServer(check), nil
	}
	return &loginServer{check: check}, nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.server.password != "" && !s.signedIn {
		return smtp.ErrAuthRequired
	}
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return s.server.refuse
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if s.server.spoil != nil {
		return s.server.spoil
	}
	s.text = string(text)
	_, s.tls = s.conn.TLSConnectionState()
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.mails = append(s.server.mails, s.delivered)
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// loginServer asks for a name and then for a password.
type loginServer struct {
	check func(_, username, password string) error
	said  []string
}

func (l *loginServer) Next(response []byte) ([]byte, bool, error) {
	if response != nil {
		l.said = append(l.said, string(response))
	}
	if len(l.said) == 2 {
		return nil, true, l.check("", l.said[0], l.said[1])
	}
	return []byte([]string{"Username:", "Password:"}[len(l.said)]), false, nil
}

// serve starts the server, with TLS from the first byte where implicit says so.
func (m *mailServer) serve(t *testing.T, config *tls.Config, implicit bool) {
	t.Helper()
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &session{server: m, conn: c}, nil }))
	server.AllowInsecureAuth = true // whether a password may cross the network is Belfry's to know
	server.Domain, server.TLSConfig, server.ErrorLog = "localhost", config, log.New(t.Output(), "", 0)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.host, m.port = "127.0.0.1", listener.Addr().(*net.TCPAddr).Port
	if implicit {
		listener = tls.NewListener(listener, config)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close(); listener.Close(); <-done })
}

// options are of a mailer that uses the server.
func (m *mailServer) options(e Encryption) MailOptions {
	return MailOptions{Host: m.host, Port: m.port, Encryption: e, From: "Belfry <belfry@example.org>", Timeout: 5 * time.Second}
}

// send sends a mail by options that must be good.
func send(t *testing.T, o MailOptions, to Person, m Mail) error {
	t.Helper()
	mailer, err := NewMailer(o)
	if err != nil {
		t.Fatal(err)
	}
	return mailer.Send(t.Context(), "019a0000-0000-7000-8000-000000000001", to, m)
}

var alice = Person{Username: "alice", Name: "Alice", Email: "alice@example.org"}

func TestMailIsEncryptedAndSignedInAsChosen(t *testing.T) {
	ours := newAuthority(t)
	cases := []struct {
		name       string
		encryption Encryption
		implicit   bool
		mechanisms []string
		password   string
	}{
		{"STARTTLS", StartTLS, false, nil, ""},
		{"STARTTLS and PLAIN", StartTLS, false, []string{"PLAIN", "LOGIN"}, "the password"},
		{"STARTTLS and LOGIN", StartTLS, false, []string{"LOGIN"}, "the password"},
		{"SMTPS", ImplicitTLS, true, nil, ""},
		{"SMTPS and PLAIN", ImplicitTLS, true, []string{"PLAIN"}, "the password"},
		{"SMTPS and LOGIN", ImplicitTLS, true, []string{"XOAUTH2", "LOGIN"}, "the password"},
		{"nothing", Plaintext, false, nil, ""},
		{"nothing, on this machine", Plaintext, false, []string{"PLAIN"}, "the password"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server := &mailServer{mechanisms: c.mechanisms, password: c.password}
			server.serve(t, ours.server(t, nil), c.implicit)
			o := server.options(c.encryption)
			o.Roots = ours.roots(t)
			if c.password != "" {
				o.Username, o.Password = "belfry", c.password
			}
			if err := send(t, o, alice, MailBody(loginFailed(), "Belfry: ")); err != nil {
				t.Fatal(err)
			}
			got := server.mails[0]
			if got.from != "belfry@example.org" || !slices.Equal(got.to, []string{"alice@example.org"}) ||
				got.tls != (c.encryption != Plaintext) || got.signedIn != (c.password != "") {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestMailIsNotSentInTheClearNorToStrangers(t *testing.T) {
	ours := newAuthority(t)
	cases := []struct {
		name   string
		config *tls.Config // nil: the server has no TLS
		o      func(o *MailOptions)
		says   string
	}{
		{"a server without STARTTLS", nil, nil, "STARTTLS"},
		{"an unknown certificate", ours.server(t, nil), func(o *MailOptions) { o.Roots = nil }, "unknown authority"},
		{"a wrong password", ours.server(t, nil), func(o *MailOptions) { o.Username, o.Password = "belfry", "wrong-password" }, "535"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server := &mailServer{mechanisms: []string{"PLAIN"}, password: "the password"}
			server.serve(t, c.config, false)
			o := server.options(StartTLS)
			o.Roots = ours.roots(t)
			if c.o != nil {
				c.o(&o)
			}
			err := send(t, o, alice, Mail{})
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "wrong-password") || errors.Is(err, ErrPermanent) {
				t.Errorf("got %v", err)
			}
			if len(server.mails) != 0 {
				t.Error("the mail was sent")
			}
		})
	}
}

func TestMailErrorsArePermanentOrNot(t *testing.T) {
	answer := func(code int) error { return &smtp.SMTPError{Code: code, Message: "because\tof this"} }
	cases := []struct {
		name          string
		refuse, spoil error
		to            string
		permanent     bool
	}{
		{"an unknown mailbox", answer(550), nil, "nobody@example.org", true},
		{"a full mailbox", answer(452), nil, "full@example.org", false},
		{"a text that is refused", nil, answer(554), "alice@example.org", true},
		{"a text for later", nil, answer(451), "alice@example.org", false},
		{"no address", nil, nil, "", true},
		{"no address but text", nil, nil, "alice", true},
		{"an address with a name", nil, nil, "Alice <alice@example.org>", true},
		{"two addresses", nil, nil, "alice@example.org, bob@example.org", true},
		{"a line break", nil, nil, "alice@example.org\r\nBcc: bob@example.org", true},
		{"a command", nil, nil, "alice@example.org>\r\nRCPT TO:<bob@example.org", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server := &mailServer{refuse: c.refuse, spoil: c.spoil}
			server.serve(t, nil, false)
			err := send(t, server.options(Plaintext), Person{Email: c.to}, Mail{Subject: "x"})
			if err == nil || errors.Is(err, ErrPermanent) != c.permanent || strings.ContainsAny(err.Error(), "\r\n\t") || len(server.mails) != 0 {
				t.Errorf("got %v, %v", err, server.mails)
			}
		})
	}
}

func TestMailServerThatFailsAfterTakingTheMailHasTakenIt(t *testing.T) {
	got := make(chan string, 1)
	address := rawReceiver(t, func(conn net.Conn) { got <- abrupt(conn) })
	o := MailOptions{Host: "127.0.0.1", Port: netPort(address), Encryption: Plaintext, From: "b@example.org", Timeout: 5 * time.Second}
	if err := send(t, o, alice, Mail{Subject: "x"}); err != nil {
		t.Error(err)
	}
	if commands := <-got; !strings.Contains(commands, "DATA") {
		t.Errorf("the server was told %q", commands)
	}
}

// abrupt is a mail server that takes one mail and then hangs up. It answers what it was told.
func abrupt(conn net.Conn) string {
	var told strings.Builder
	io.WriteString(conn, "220 hello\r\n")
	buffer := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buffer)
		text := string(buffer[:n])
		told.WriteString(text)
		switch {
		case err != nil:
			return told.String()
		case strings.HasPrefix(text, "DATA"):
			io.WriteString(conn, "354 go on\r\n")
		case strings.HasSuffix(text, "\r\n.\r\n"):
			io.WriteString(conn, "250 taken\r\n")
			return told.String()
		default:
			io.WriteString(conn, "250 fine\r\n")
		}
	}
}

// netPort is the port of an address.
func netPort(address string) int {
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		panic(err)
	}
	return at.Port
}

func TestSlowMailServerCostsAnAttemptAndNoMore(t *testing.T) {
	drip := func(conn net.Conn) {
		for {
			if _, err := io.WriteString(conn, "220-wait\r\n"); err != nil {
				return
			}
			<-time.After(10 * time.Millisecond) // the server is slow on purpose
		}
	}
	hang := func(conn net.Conn) { io.Copy(io.Discard, conn) }
	for name, serve := range map[string]func(net.Conn){"drips": drip, "hangs": hang} {
		for _, encryption := range []Encryption{Plaintext, ImplicitTLS} {
			t.Run(name+" "+string(encryption), func(t *testing.T) {
				o := MailOptions{Host: "127.0.0.1", Port: netPort(rawReceiver(t, serve)), Encryption: encryption, From: "b@example.org", Timeout: shortTime}
				began := time.Now()
				err := send(t, o, alice, Mail{Subject: "x"})
				if took := time.Since(began); err == nil || took > 3*shortTime {
					t.Errorf("after %v: %v", took, err)
				}
				if encryption == Plaintext && !IsTimeout(err) {
					t.Errorf("no timeout: %v", err)
				}
			})
		}
	}
}

func TestMailServerThatStallsAtEveryCommandCostsAnAttemptAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan struct{})
		o := MailOptions{Host: "mail.example.org", Encryption: Plaintext, From: "b@example.org", Dial: func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			go func() { defer close(gone); stall(there) }()
			return here, nil
		}}
		began := time.Now()
		if err := send(t, o, alice, Mail{Subject: "x"}); !IsTimeout(err) || time.Since(began) != attemptTime {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		<-gone
	})
}

// stall is a mail server that takes its time for every command.
func stall(conn net.Conn) {
	defer conn.Close()
	io.WriteString(conn, "220 hello\r\n")
	buffer := make([]byte, 4096)
	for {
		if _, err := conn.Read(buffer); err != nil {
			return
		}
		time.Sleep(attemptTime * 2 / 5)
		io.WriteString(conn, "250 fine\r\n")
	}
}

func TestMailerRefusesOptionsThatCannotWork(t *testing.T) {
	good := MailOptions{Host: "mail.example.org", Encryption: StartTLS, From: "b@example.org"}
	for name, spoil := range map[string]func(o *MailOptions){
		"no sender":                  func(o *MailOptions) { o.From = "" },
		"a sender that is none":      func(o *MailOptions) { o.From = "belfry" },
		"a sender with a line break": func(o *MailOptions) { o.From = "b@example.org\nBcc: x@example.org" },
		"an unknown encryption":      func(o *MailOptions) { o.Encryption = "ssl" },
		"a password in the clear":    func(o *MailOptions) { o.Encryption, o.Username, o.Password = Plaintext, "belfry", "p" },
	} {
		o := good
		spoil(&o)
		if _, err := NewMailer(o); err == nil {
			t.Errorf("%s is good enough", name)
		}
	}
	for encryption, port := range map[Encryption]int{StartTLS: 587, ImplicitTLS: 465, Plaintext: 25} {
		o := good
		o.Encryption = encryption
		if m, err := NewMailer(o); err != nil || m.options.Port != port {
			t.Errorf("%s: want port %d, got %+v, %v", encryption, port, m, err)
		}
	}
}

// parse reads a mail again: its header, and its parts by their type.
func parse(t interface{ Fatal(...any) }, text string) (netmail.Header, map[string]string) {
	message, err := netmail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err, text)
	}
	kind, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatal(kind, err)
	}
	parts := map[string]string{}
	for reader := multipart.NewReader(message.Body, parameters["boundary"]); ; {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return message.Header, parts
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, _, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil || part.Header.Get("Content-Transfer-Encoding") != "quoted-printable" {
			t.Fatal(err, part.Header)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		parts[kind] = strings.ReplaceAll(string(body), "\r\n", "\n")
	}
}

func TestMailReadsWellInBothForms(t *testing.T) {
	server := &mailServer{}
	server.serve(t, nil, false)
	began := time.Now().Truncate(time.Second)
	content := MailBody(loginFailed(), "authentik Notification: ")
	for range 2 {
		if err := send(t, server.options(Plaintext), Person{Username: "jürgen", Email: "j@example.org"}, content); err != nil {
			t.Fatal(err)
		}
	}
	header, parts := parse(t, server.mails[0].text)
	again, _ := parse(t, server.mails[1].text)
	for name, want := range map[string]string{
		"Subject": "authentik Notification: login_failed", "From": `"Belfry" <belfry@example.org>`, "To": "=?utf-8?q?j=C3=BCrgen?= <j@example.org>",
		"Message-Id": "<019a0000-0000-7000-8000-000000000001@example.org>", "Auto-Submitted": "auto-generated", "Mime-Version": "1.0", "X-Mailer": "", "User-Agent": "",
	} {
		if got := header.Get(name); got != want || again.Get(name) != want {
			t.Errorf("%s: want %q, got %q and %q", name, want, got, again.Get(name))
		}
	}
	if date, err := header.Date(); err != nil || date.Before(began) || date.After(time.Now()) {
		t.Errorf("the date %v, %v", date, err)
	}
	want := `login_failed

mallory failed to log in from 10.0.0.1

user_email: admin@example.org
user_username: akadmin
event_user_email: mallory@example.org
event_user_username: mallory
password: ********
stage: password <b>

This email was sent from the notification transport chat.
`
	if got := parts["text/plain"]; got != want {
		t.Errorf("want %s\n got %s", want, got)
	}
	want = `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>login_failed</title></head>
<body style="font-family: sans-serif; color: #151515">
<h1 style="font-size: 1.25em">login_failed</h1>
<p style="white-space: pre-wrap">mallory failed to log in from 10.0.0.1</p>
<table style="border-collapse: collapse">
` + row("user_email", "admin@example.org") + row("user_username", "akadmin") + row("event_user_email", "mallory@example.org") +
		row("event_user_username", "mallory") + row("password", "********") + row("stage", "password &lt;b&gt;") + `</table>
<p style="color: #6a6e73">This email was sent from the notification transport <code>chat</code>.</p>
</body>
</html>
`
	if got := parts["text/html"]; got != want {
		t.Errorf("want %s\n got %s", want, got)
	}
}

// row is a row of a mail's table.
func row(name, value string) string {
	return `<tr><th style="text-align: left; vertical-align: top; padding: 4px 16px 4px 0">` + name +
		`</th><td style="white-space: pre-wrap; padding: 4px 0">` + value + "</td></tr>\n"
}

func TestMailOfAPlainUserWithoutAnEvent(t *testing.T) {
	m := withoutEvent()
	m.Body = strings.Repeat("long ", 20)
	got := MailBody(m, "Disk: ")
	if want := "Disk: " + strings.TrimSpace(m.Body[:74]) + "…"; got.Subject != want {
		t.Errorf("want the subject %q, got %q", want, got.Subject)
	}
	if strings.Contains(got.Text+got.HTML, "This email was sent") {
		t.Error("a plain user is told of the transport")
	}
}

func TestMailTextCannotAddHeadersPartsOrMarkup(t *testing.T) {
	server := &mailServer{}
	server.serve(t, nil, false)
	mailer, err := NewMailer(server.options(Plaintext))
	if err != nil {
		t.Fatal(err)
	}
	piece := rapid.SampledFrom([]string{"\r\n", "\n", "\r", "\n\n", "Bcc: evil@example.org", "\r\nBcc: evil@example.org\r\n", "\r\n.\r\nMAIL FROM:<x>\r\n", "=?utf-8?q?=0D=0ABcc:_x?=", "\"", "<", ">", ",", "\\",
		"<script>alert(1)</script>", "<a href='https://evil.example'>x</a>", "<img src=https://evil.example/x>", "{{.}}", "&lt;", "\x00", "\u2028", "é", "𝕏", " ", "--boundary", "@", "Content-Type: text/html"})
	hostile := rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(piece, 0, 10).Draw(t, "pieces"), "") })
	headers := []string{"Auto-Submitted", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To"}
	rapid.Check(t, func(t *rapid.T) {
		name := hostile.Draw(t, "event user")
		m := Message{Severity: "alert", Body: hostile.Draw(t, "body"), Transport: hostile.Draw(t, "transport"), RecipientIsAdmin: true,
			Recipient: Person{Username: "alice", Name: hostile.Draw(t, "name"), Email: "alice@example.org"}, Action: rapid.SampledFrom([]string{"", "login"}).Draw(t, "action"),
			EventUser: &EventUser{Username: &name}, Context: []Entry{{hostile.Draw(t, "key"), hostile.Draw(t, "value")}}}
		server.mails = nil
		if err := mailer.Send(context.Background(), "id", m.Recipient, MailBody(m, hostile.Draw(t, "prefix"))); err != nil {
			t.Fatal(err)
		}
		if len(server.mails) != 1 || !slices.Equal(server.mails[0].to, []string{"alice@example.org"}) {
			t.Fatalf("got %+v", server.mails)
		}
		header, parts := parse(t, server.mails[0].text)
		for name, values := range header {
			if !slices.Contains(headers, name) || len(values) != 1 {
				t.Errorf("the header %s: %q", name, values)
			}
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(header.Get("Subject"))
		if err != nil || strings.ContainsAny(subject, "\r\n\x00\u2028") {
			t.Errorf("the subject %q, %v", subject, err)
		}
		if to, err := header.AddressList("To"); err != nil || len(to) != 1 || to[0].Address != "alice@example.org" {
			t.Errorf("to %v, %v", to, err)
		}
		if len(parts) != 2 || strings.Contains(parts["text/html"], "<script") || strings.Contains(parts["text/html"], "<a") || strings.Contains(parts["text/html"], "<img") {
			t.Errorf("got %q", parts)
		}
	})
}

// TestMailOfALargeEventIsShort fills all rows: a mail is stored for every recipient.
func TestMailOfALargeEventIsShort(t *testing.T) {
	m := Message{Severity: "alert", Body: "It happened", Action: "login"}
	for i := range 200 {
		m.Context = append(m.Context, Entry{fmt.Sprint("name ", i), strings.Repeat("x", 5000)})
	}
	mail := MailBody(m, "")
	if !strings.Contains(mail.Text, "name 0: xxx") || !strings.Contains(mail.HTML, "name 0") {
		t.Error("the first entry is missing")
	}
	if len(mail.Text) > 20<<10 || len(mail.HTML) > 30<<10 {
		t.Errorf("the mail has %d and %d bytes", len(mail.Text), len(mail.HTML))
	}
}

func TestMailTextCannotForgeARow(t *testing.T) {
	m := loginFailed()
	m.Body = "text\nuser_email: forged"
	m.Context = []Entry{{"a\nuser_email", "1"}, {"b", "2\r\nuser_email: forged\u2028user_email: forged\vuser_email: forged"}}
	for line := range strings.Lines(MailBody(m, "").Text) {
		if strings.HasPrefix(line, "user_email") && line != "user_email: admin@example.org\n" {
			t.Errorf("a row of its own: %q", line)
		}
	}
}
