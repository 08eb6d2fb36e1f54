package outbound

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Request is one attempt to deliver a webhook.
type Request struct {
	URL         string // http or https; a name and a password in it become basic authentication
	ID          string // the header webhook-id: the same at every attempt
	Body        []byte
	ContentType string
	Header      http.Header // more headers; those that are Belfry's own or the connection's are refused
	Secrets     []string    // what to sign with, newest first, see [CheckSecret]; none: unsigned
	Time        time.Time   // of this attempt, as it is signed
}

// HeaderOrigin is the header that names the Belfry which sent a request.
const HeaderOrigin = "Belfry-Origin"

// http makes the request that is sent, and says which secrets it holds. No error tells anything of the URL but its host.
func (r *Request) http(ctx context.Context, o *Options) (*http.Request, secrets, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil, nil, errors.New("the URL cannot be read")
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, nil, errors.New("the URL is not http:// or https:// with a host")
	}
	hidden := secretsOf(u, r.Header)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(r.Body))
	if err != nil {
		return nil, nil, errors.New("the URL cannot be requested")
	}
	if user := u.User; user != nil {
		password, _ := user.Password()
		request.SetBasicAuth(user.Username(), password)
		request.URL.User = nil
	}
	request.Header.Set("Content-Type", r.ContentType)
	request.Header.Set("User-Agent", o.UserAgent)
	for name, values := range r.Header {
		if err := checkHeader(name, values); err != nil {
			return nil, nil, err
		}
		request.Header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	if o.Origin != "" {
		request.Header.Set(HeaderOrigin, o.Origin)
	}
	return request, hidden, r.sign(request.Header)
}

// secretsOf are the parts of a request that may be a password: the address of a webhook often is one.
func secretsOf(u *url.URL, header http.Header) (s secrets) {
	s.add(u.String(), u.RequestURI(), u.EscapedPath(), u.Path, u.RawQuery, u.Fragment)
	s.add(strings.Split(u.EscapedPath(), "/")...)
	s.add(strings.Split(u.Path, "/")...)
	s.add(strings.FieldsFunc(u.RawQuery, func(r rune) bool { return r == '&' || r == '=' })...)
	for _, values := range u.Query() {
		s.add(values...)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		plain := u.User.Username() + ":" + password
		s.add(u.User.String(), plain, password, base64.StdEncoding.EncodeToString([]byte(plain)))
	}
	for _, values := range header {
		s.add(values...)
		s.add(strings.Fields(strings.Join(values, " "))...)
	}
	return s
}

// reserved are headers that a request cannot bring along: Belfry's own, and those of the connection.
var reserved = []string{
	"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature", HeaderOrigin,
	"Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection",
	"Te", "Trailer", "Upgrade", "Expect", "Accept-Encoding",
}

// checkHeader refuses what cannot be sent, or what is not for the operator to set. The value may be a secret
// and is not repeated.
func checkHeader(name string, values []string) error {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isToken(r) }) {
		return fmt.Errorf("%q cannot be the name of a header: letters, digits and - are safe", name)
	}
	if slices.Contains(reserved, http.CanonicalHeaderKey(name)) {
		return fmt.Errorf("the header %s cannot be set: Belfry or the connection sets it", http.CanonicalHeaderKey(name))
	}
	for _, value := range values {
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return fmt.Errorf("the value of the header %s holds a line break or another control character", http.CanonicalHeaderKey(name))
		}
	}
	return nil
}

// isToken reports whether a character may stand in the name of a header.
func isToken(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// sign sets the headers of Standard Webhooks: always which message it is and when it is sent, and one signature for
// each secret.
func (r *Request) sign(h http.Header) error {
	h.Set(standardwebhooks.HeaderWebhookID, r.ID)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(r.Time.Unix(), 10))
	var signatures []string
	for _, secret := range r.Secrets {
		signer, err := newSigner(secret)
		if err != nil {
			return err
		}
		signature, err := signer.Sign(r.ID, r.Time, r.Body)
		if err != nil {
			return err
		}
		signatures = append(signatures, signature)
	}
	if len(signatures) > 0 {
		h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	}
	return nil
}

// secretPrefix marks a secret whose key is in base64.
const secretPrefix = "whsec_"

// errSecret never repeats the secret.
var errSecret = errors.New("a secret is whsec_ and the base64 of 24 to 64 random bytes, " +
	"or 24 to 64 printable ASCII characters that are the key themselves")

// CheckSecret says whether requests can be signed with a secret: whsec_ and the base64 of 24 to 64 bytes, as Standard
// Webhooks has it, or 24 to 64 printable ASCII characters without spaces, which are the key as they stand.
func CheckSecret(secret string) error {
	_, err := newSigner(secret)
	return err
}

func newSigner(secret string) (*standardwebhooks.Webhook, error) {
	if strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errSecret
	}
	key := []byte(secret)
	if encoded, ok := strings.CutPrefix(secret, secretPrefix); ok {
		var err error
		if key, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return nil, errSecret
		}
	}
	if len(key) < 24 || len(key) > 64 {
		return nil, errSecret
	}
	return standardwebhooks.NewWebhookRaw(key)
}
