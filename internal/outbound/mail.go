package outbound

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
)

// Encryption is how mail travels to the server.
type Encryption string

// The kinds of encryption.
const (
	StartTLS    Encryption = "starttls" // begins in the clear and must change to TLS
	ImplicitTLS Encryption = "tls"      // TLS from the first byte
	Plaintext   Encryption = "none"
)

// ports are what a mail server usually listens on.
var ports = map[Encryption]int{StartTLS: 587, ImplicitTLS: 465, Plaintext: 25}

// ParseEncryption reads starttls, tls or none.
func ParseEncryption(text string) (Encryption, error) {
	if _, known := ports[Encryption(text)]; !known {
		return "", fmt.Errorf("%q is none of starttls, tls, none", text)
	}
	return Encryption(text), nil
}

// MailOptions are what a [Mailer] works by. The host is the operator's choice, and not guarded.
type MailOptions struct {
	Host               string
	Port               int // 0: 587 for starttls, 465 for tls, 25 for none
	Encryption         Encryption
	Username, Password string         // "" for no authentication
	From               string         // an address, or a name and <an address>
	Roots              *x509.CertPool // nil: whom the system trusts
	Timeout            time.Duration  // of an attempt; 0: 15 s
	// Dial takes the place of a plain connection, so that a test can serve on a pipe; nil: a plain connection.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// ErrPermanent says that the mail server will not take this message for this recipient, now or later.
var ErrPermanent = errors.New("the mail server refuses the message")

// Mailer sends mail. It is safe for concurrent use.
type Mailer struct {
	options MailOptions
	from    *netmail.Address
}

// CheckSender says whether mail can be from somebody: an address, or a name and <an address>.
func CheckSender(from string) error {
	if _, err := netmail.ParseAddress(from); err != nil {
		return fmt.Errorf("%q is not an address, such as Belfry <belfry@example.org>", from)
	}
	return nil
}

// NewMailer checks the options. The server is not asked.
func NewMailer(o MailOptions) (*Mailer, error) {
	if err := CheckSender(o.From); err != nil {
		return nil, err
	}
	if _, err := ParseEncryption(string(o.Encryption)); err != nil {
		return nil, err
	}
	if o.Username != "" && o.Encryption == Plaintext && !isLocal(o.Host) {
		return nil, errors.New("without encryption the password would cross the network in the clear")
	}
	o.Port = cmp.Or(o.Port, ports[o.Encryption])
	o.Timeout = cmp.Or(o.Timeout, attemptTime)
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	from, err := netmail.ParseAddress(o.From)
	return &Mailer{options: o, from: from}, err
}

// isLocal reports whether a host is this machine.
func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Send makes one attempt to hand a mail to the server. The id of the delivery makes the Message-ID, so that a mail
// that is sent twice can be told. An error is [ErrPermanent] where no later attempt can succeed.
func (m *Mailer) Send(ctx context.Context, id string, to Person, content Mail) error {
	message, err := m.message(id, to, content)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, m.options.Timeout)
	defer cancel()
	client, err := m.client(ctx)
	if err != nil {
		return err
	}
	err = client.DialAndSendWithContext(ctx, message)
	if err == nil || message.IsDelivered() {
		return nil // the server has it, whatever went wrong with saying goodbye
	}
	return m.failure(ctx, err)
}

// failure puts an error into words, and into its kind.
func (m *Mailer) failure(ctx context.Context, err error) error {
	var refused *mail.SendError
	hidden := secrets{}
	hidden.add(m.options.Password)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fail(ctx.Err(), fmt.Sprintf("the mail server did not take the message within %v", m.options.Timeout), hidden)
	case errors.As(err, &refused) && refused.ErrorCode() >= 500:
		return fail(ErrPermanent, ErrPermanent.Error()+": "+err.Error(), hidden)
	}
	return fail(err, "", hidden)
}

// client is a client for one message, whose connection ends with ctx.
func (m *Mailer) client(ctx context.Context) (*mail.Client, error) {
	o := m.options
	config := &tls.Config{ServerName: o.Host, RootCAs: o.Roots, MinVersion: tls.VersionTLS12}
	policy := mail.NoTLS
	if o.Encryption == StartTLS {
		policy = mail.TLSMandatory
	}
	options := []mail.Option{
		mail.WithPort(o.Port), mail.WithTLSPolicy(policy), mail.WithTLSConfig(config), mail.WithTimeout(o.Timeout), mail.WithoutNoop(),
		mail.WithDialContextFunc(func(_ context.Context, network, address string) (net.Conn, error) {
			return m.dial(ctx, network, address, config)
		}),
	}
	if o.Username != "" {
		options = append(options, mail.WithUsername(o.Username), mail.WithPassword(o.Password),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthPlain, mail.SMTPAuthLogin, mail.SMTPAuthCramMD5))
	}
	return mail.NewClient(o.Host, options...)
}

// dial connects for as long as ctx lasts: the library gives every command its time anew, and forgets connections
// on which it did not get as far as a message.
func (m *Mailer) dial(ctx context.Context, network, address string, config *tls.Config) (net.Conn, error) {
	conn, err := m.options.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() }) // closed already where all went well
	if m.options.Encryption != ImplicitTLS {
		return conn, nil
	}
	secure := tls.Client(conn, config)
	return secure, secure.HandshakeContext(ctx)
}

// message is a mail in its form for the wire.
func (m *Mailer) message(id string, to Person, content Mail) (*mail.Msg, error) {
	address, err := netmail.ParseAddress(to.Email)
	if err != nil || address.Address != to.Email {
		return nil, fail(ErrPermanent, fmt.Sprintf("%q is not the address of a mailbox", to.Email), nil)
	}
	// net/mail does not encode a backslash where it should.
	address.Name = strings.ReplaceAll(headerText(cmp.Or(to.Name, to.Username)), `\`, "/")
	_, host, _ := strings.Cut(m.from.Address, "@")
	message := mail.NewMsg(mail.WithNoDefaultUserAgent())
	message.FromMailAddress(m.from)
	message.ToMailAddress(address)
	message.Subject(headerText(content.Subject))
	message.SetMessageIDWithValue(id + "@" + host)
	message.SetDate()
	message.SetGenHeader("Auto-Submitted", "auto-generated") // nobody's absence note answers it
	message.SetBodyString(mail.TypeTextPlain, content.Text)
	message.AddAlternativeString(mail.TypeTextHTML, content.HTML)
	return message, nil
}

// headerText is text as it may stand in a header: on one line, and without what a reader of mail would decode.
func headerText(text string) string { return strings.ReplaceAll(oneLine(text), "=?", "= ?") }
