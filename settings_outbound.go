package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"belfry/internal/cmdline"
	"belfry/internal/outbound"
)

// outboundFlags say where deliveries may go and how mail is sent.
type outboundFlags struct {
	OutboundAllow, OutboundCAFile                              string
	SMTPHost, SMTPPort, SMTPEncryption, SMTPUsername, SMTPFrom string
}

// flags are how they are given.
func (f *outboundFlags) flags() []*cmdline.Flag {
	return []*cmdline.Flag{
		{Name: "outbound-allow", To: &f.OutboundAllow, Default: "external,private", Env: "BELFRY_OUTBOUND_ALLOW", Placeholder: "CLASSES",
			Help: "Which addresses webhooks may reach: of external, private, shared, loopback, link-local, any, with commas between."},
		{Name: "outbound-ca-file", To: &f.OutboundCAFile, Env: "BELFRY_OUTBOUND_CA_FILE", Placeholder: "PATH",
			Help: "Certificates in PEM form that vouch for receivers and the mail server, beside the system's."},
		{Name: "smtp-host", To: &f.SMTPHost, Env: "BELFRY_SMTP_HOST", Placeholder: "HOST", Help: "Mail server; without one no mail is sent."},
		{Name: "smtp-port", To: &f.SMTPPort, Env: "BELFRY_SMTP_PORT", Placeholder: "PORT", Help: "Its port: 587, 465 or 25 unless given, as the encryption has it."},
		{Name: "smtp-encryption", To: &f.SMTPEncryption, Default: "starttls", Env: "BELFRY_SMTP_ENCRYPTION", Placeholder: "KIND", Help: "starttls, tls or none."},
		{Name: "smtp-username", To: &f.SMTPUsername, Env: "BELFRY_SMTP_USERNAME", Placeholder: "NAME", Help: "Who signs in at the mail server; the password is in BELFRY_SMTP_PASSWORD."},
		{Name: "smtp-from", To: &f.SMTPFrom, Env: "BELFRY_SMTP_FROM", Placeholder: "ADDRESS", Help: "Whom mail is from, such as \"Belfry <belfry@example.org>\"."},
	}
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
