package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"belfry/internal/outbound"
)

// outboundFlags say where deliveries may go and how mail is sent.
type outboundFlags struct {
	OutboundAllow  string `help:"Which addresses webhooks may reach: of external, private, shared, loopback, link-local, any, with commas between." default:"external,private" env:"BELFRY_OUTBOUND_ALLOW" placeholder:"CLASSES"`
	OutboundCAFile string `name:"outbound-ca-file" help:"Certificates in PEM form that vouch for receivers and the mail server, beside the system's." env:"BELFRY_OUTBOUND_CA_FILE" placeholder:"PATH"`
	SMTPHost       string `name:"smtp-host" help:"Mail server; without one no mail is sent." env:"BELFRY_SMTP_HOST" placeholder:"HOST"`
	SMTPPort       string `name:"smtp-port" help:"Its port: 587, 465 or 25 unless given, as the encryption has it." env:"BELFRY_SMTP_PORT" placeholder:"PORT"`
	SMTPEncryption string `name:"smtp-encryption" help:"starttls, tls or none." default:"starttls" env:"BELFRY_SMTP_ENCRYPTION" placeholder:"KIND"`
	SMTPUsername   string `name:"smtp-username" help:"Who signs in at the mail server; the password is in BELFRY_SMTP_PASSWORD." env:"BELFRY_SMTP_USERNAME" placeholder:"NAME"`
	SMTPFrom       string `name:"smtp-from" help:"Whom mail is from, such as \"Belfry <belfry@example.org>\"." env:"BELFRY_SMTP_FROM" placeholder:"ADDRESS"`
}

// mistakes collects what is wrong with flags.
type mistakes []error

// add names the flag and its variable beside an error, and takes none for none.
func (m *mistakes) add(flag string, err error) {
	if err != nil {
		variable := "BELFRY_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
		*m = append(*m, fmt.Errorf("--%s (%s): %w", flag, variable, err))
	}
}

// settings checks the flags, and the password that has none. Mail is nil where there is no mail server.
func (f *outboundFlags) settings(p *process) (outbound.Options, *outbound.MailOptions, error) {
	var wrong mistakes
	allow, err := outbound.ParseClasses(f.OutboundAllow)
	wrong.add("outbound-allow", err)
	var roots *x509.CertPool
	if f.OutboundCAFile != "" {
		roots, err = outbound.LoadRoots(f.OutboundCAFile)
		wrong.add("outbound-ca-file", err)
	}
	m := f.mail(p, &wrong)
	if m != nil {
		m.Roots = roots
	}
	return outbound.Options{Allow: allow, Roots: roots, UserAgent: "Belfry/" + buildVersion()}, m, errors.Join(wrong...)
}

// mail checks what is said of the mail server, which must be named to be used.
func (f *outboundFlags) mail(p *process, wrong *mistakes) *outbound.MailOptions {
	password, _, unread := secret(p, "BELFRY_SMTP_PASSWORD")
	if unread != nil {
		*wrong = append(*wrong, unread) // it names its variable
	}
	if f.SMTPHost == "" {
		if f.SMTPPort+f.SMTPUsername+f.SMTPFrom+password != "" {
			wrong.add("smtp-host", errors.New("no mail server is named, and so the other settings of mail have no effect"))
		}
		return nil
	}
	m := &outbound.MailOptions{Host: f.SMTPHost, Username: f.SMTPUsername, Password: password, From: f.SMTPFrom}
	before := len(*wrong)
	if strings.ContainsAny(f.SMTPHost, "/@[] ") || strings.Contains(f.SMTPHost, ":") && net.ParseIP(f.SMTPHost) == nil {
		wrong.add("smtp-host", fmt.Errorf("%q is not the name or the address of a host; the port is --smtp-port", f.SMTPHost))
	}
	var err error
	if f.SMTPPort != "" {
		m.Port, err = strconv.Atoi(f.SMTPPort)
		if err != nil || m.Port < 1 || m.Port > 65535 {
			wrong.add("smtp-port", fmt.Errorf("%q is not a number from 1 to 65535", f.SMTPPort))
		}
	}
	m.Encryption, err = outbound.ParseEncryption(f.SMTPEncryption)
	wrong.add("smtp-encryption", err)
	wrong.add("smtp-from", outbound.CheckSender(f.SMTPFrom))
	if unread == nil && (m.Username == "") != (password == "") {
		wrong.add("smtp-username", errors.New("a name needs a password and a password a name: BELFRY_SMTP_PASSWORD or BELFRY_SMTP_PASSWORD_FILE holds it"))
	}
	if len(*wrong) == before { // else it would say the same again
		_, err = outbound.NewMailer(*m)
		wrong.add("smtp-encryption", err)
	}
	return m
}
