package outbound

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// received is a request as a receiver has it.
type received struct {
	host   string
	header http.Header
	body   []byte
}

// recording is a receiver that keeps the last request.
func recording(t *testing.T) (url string, last *received) {
	t.Helper()
	last = new(received)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*last = received{r.Host, r.Header.Clone(), body}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(web.Close)
	return web.URL, last
}

const (
	encodedSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr"
	rawSecret     = "a raw-secret of 32 characters..."
)

// signatureOf is a signature worked out by hand.
func signatureOf(key []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func TestEveryAttemptIsSignedWithEverySecret(t *testing.T) {
	url, last := recording(t)
	raw := strings.ReplaceAll(rawSecret, " ", "_")
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(encodedSecret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(t, onLoopback(time.Second))
	signatures := map[string]bool{}
	for _, at := range []time.Time{time.Now(), time.Now().Add(-2 * time.Minute)} {
		r := webhook(url)
		r.Body, r.Secrets, r.Time = []byte(`{"body":"ü <&> \u2028"}`), []string{encodedSecret, raw}, at
		if _, err := client.Post(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		timestamp := strconv.FormatInt(at.Unix(), 10)
		want := signatureOf(key, r.ID, timestamp, r.Body) + " " + signatureOf([]byte(raw), r.ID, timestamp, r.Body)
		if got := last.header.Get("webhook-signature"); got != want || string(last.body) != string(r.Body) {
			t.Errorf("want the signatures %s, got %s", want, got)
		}
		signatures[want] = true
		byLibrary, err := standardwebhooks.NewWebhook(encodedSecret)
		if err != nil {
			t.Fatal(err)
		}
		byRaw, err := standardwebhooks.NewWebhookRaw([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		for _, verifier := range []*standardwebhooks.Webhook{byLibrary, byRaw} {
			if err := verifier.Verify(last.body, last.header); err != nil {
				t.Error(err)
			}
			if verifier.Verify(append(last.body, ' '), last.header) == nil {
				t.Error("the signature is of any body")
			}
		}
	}
	if len(signatures) != 2 {
		t.Error("the signature does not tell when")
	}
}

func TestWithoutASecretTheMessageIsNamedAllTheSame(t *testing.T) {
	url, last := recording(t)
	r := webhook(url)
	if _, err := newClient(t, onLoopback(time.Second)).Post(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	h := last.header
	if h.Get("webhook-id") != r.ID || h.Get("webhook-timestamp") != strconv.FormatInt(r.Time.Unix(), 10) || h.Values("webhook-signature") != nil {
		t.Errorf("got %v", h)
	}
}

func TestRequestSaysWhoSendsItAndAsksForNoCompression(t *testing.T) {
	url, last := recording(t)
	o := onLoopback(time.Second)
	o.Origin = "019a0000-0000-7000-8000-00000000000a"
	answer, err := newClient(t, o).Post(t.Context(), webhook(url))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"User-Agent": "Belfry/test", "Belfry-Origin": o.Origin, "Content-Type": "application/json", "Accept-Encoding": "", "Content-Length": "12"}
	for name, value := range want {
		if got := last.header.Get(name); got != value {
			t.Errorf("%s: want %q, got %q", name, value, got)
		}
	}
	for name := range last.header {
		if answer.Sent.Get(name) != last.header.Get(name) {
			t.Errorf("%s was sent as %q, and is told as %q", name, last.header.Get(name), answer.Sent.Get(name))
		}
	}
	if answer.Sent.Get("Host") != last.host {
		t.Errorf("the host %s is told as %q", last.host, answer.Sent.Get("Host"))
	}
}

func TestNameAndPasswordOfTheURLAreBasicAuthentication(t *testing.T) {
	url, last := recording(t)
	client := newClient(t, onLoopback(time.Second))
	url = strings.Replace(url, "://", "://al%40ice:s%3Acret@", 1)
	if _, err := client.Post(t.Context(), webhook(url)); err != nil {
		t.Fatal(err)
	}
	if name, password, ok := (&http.Request{Header: last.header}).BasicAuth(); name != "al@ice" || password != "s:cret" || !ok {
		t.Errorf("got %q, %q", name, password)
	}
	r := webhook(url)
	r.Header = http.Header{"authorization": {"Bearer of-the-mapping"}}
	if _, err := client.Post(t.Context(), r); err != nil || last.header.Get("Authorization") != "Bearer of-the-mapping" || len(last.header.Values("Authorization")) != 1 {
		t.Errorf("a header of the mapping counts: %v, %v", last.header, err)
	}
}

func TestExtraHeadersAreSentOrRefused(t *testing.T) {
	url, last := recording(t)
	client := newClient(t, onLoopback(time.Second))
	r := webhook(url)
	r.Header = http.Header{"x-priority": {"5"}, "Title": {"Grüße, 100 %"}, "Tags": {"a", "b"}, "content-type": {"text/plain"}}
	if _, err := client.Post(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if h := last.header; h.Get("X-Priority") != "5" || h.Get("Title") != "Grüße, 100 %" || len(h.Values("Tags")) != 2 || h.Get("Content-Type") != "text/plain" {
		t.Errorf("got %v", h)
	}
	refused := []struct{ name, value string }{
		{"webhook-id", "x"}, {"Webhook-Timestamp", "1"}, {"WEBHOOK-SIGNATURE", "v1,x"}, {"Belfry-Origin", "x"}, {"belfry-origin", "x"},
		{"Host", "x"}, {"host", "x"}, {"Content-Length", "5"}, {"Transfer-Encoding", "chunked"}, {"Connection", "x-token"}, {"Keep-Alive", "x"},
		{"Proxy-Connection", "x"}, {"TE", "x"}, {"Trailer", "x"}, {"Upgrade", "h2c"}, {"Expect", "100-continue"}, {"Accept-Encoding", "gzip"},
		{"", "x"}, {"a b", "x"}, {"a:b", "x"}, {"a\r\nb", "x"}, {"ü", "x"}, {" Host", "x"}, {"Host ", "x"}, {"a\x00", "x"},
		{"x-token", "line\nHost: evil"}, {"x-token", "line\r\n\r\nGET / HTTP/1.1"}, {"x-token", "\x00"}, {"x-token", "\x7f"}, {"x-token", "\x1b[31m"},
	}
	for _, c := range refused {
		*last = received{}
		r.Header = http.Header{c.name: {"fine", c.value}}
		_, err := client.Post(t.Context(), r)
		if err == nil || last.header != nil {
			t.Errorf("%q: %q was sent", c.name, c.value)
		} else if text := err.Error(); !strings.Contains(text, "header") || len(c.value) > 10 && strings.Contains(text, c.value) {
			t.Errorf("%q: %v", c.name, err)
		}
	}
}

func TestSecretsAreLongAndWellFormed(t *testing.T) {
	encoded := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	good := []string{encoded(24), encoded(32), encoded(64), encodedSecret, strings.Repeat("x", 24), strings.Repeat("~", 64), "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4"}
	bad := []string{"", "whsec_", encoded(23), encoded(65), "whsec_" + strings.Repeat("!", 32), encodedSecret[:len(encodedSecret)-1], encodedSecret + "\n",
		strings.Repeat("x", 23), strings.Repeat("x", 65), strings.Repeat("x y", 10), strings.Repeat("ü", 15), rawSecret, strings.Repeat("x", 30) + "\x00"}
	for _, secret := range good {
		if err := CheckSecret(secret); err != nil {
			t.Errorf("%q: %v", secret, err)
		}
	}
	for _, secret := range bad {
		if err := CheckSecret(secret); err == nil || len(secret) > 10 && strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", secret, err)
		}
		r := webhook("http://127.0.0.1:1/")
		r.Secrets = []string{encodedSecret, secret}
		if _, err := newClient(t, onLoopback(time.Second)).Post(t.Context(), r); err == nil || !strings.Contains(err.Error(), "whsec_") {
			t.Errorf("%q was used: %v", secret, err)
		}
	}
}

// theSecrets are all in the address and the headers of [secretive].
var theSecrets = []string{"T0KEN-of-the-path", "T0KEN+escaped+path", "T0KEN%2Bescaped%2Bpath", "T0KEN-of-the-query", "T0KEN-of-the-user", "T0KEN-of-the-header",
	"c2VjcmV0OlQwS0VOLW9mLXRoZS11c2Vy"}

// secretive is a request to a host that is full of secrets.
func secretive(host string) Request {
	r := webhook("http://secret:T0KEN-of-the-user@" + host + "/hooks/T0KEN-of-the-path/T0KEN%2Bescaped%2Bpath?key=T0KEN-of-the-query&x=y")
	r.Header = http.Header{"X-Token": {"Bearer T0KEN-of-the-header"}}
	r.Secrets = []string{encodedSecret}
	return r
}

func TestNothingToldHoldsTheSecretsOfARequest(t *testing.T) {
	raw := func(text string) string {
		return receiver(t, func(conn net.Conn) { io.WriteString(conn, text) })
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	everything := strings.Join(theSecrets, " ")
	hosts := map[string]string{
		"nobody listens": closed.Addr().String(), "no such name": "no-such-name.invalid", "refused": "10.0.0.1", "not a port": "127.0.0.1:port",
		"not HTTP":             raw(everything + "\r\n\r\n"),
		"the path as a status": raw("HTTP/1.1 /hooks/T0KEN-of-the-path x\r\n\r\n"),
		"a broken header":      raw("HTTP/1.1 200 OK\r\n" + everything + "\r\n\r\n"),
		"a broken length":      raw("HTTP/1.1 200 OK\r\nContent-Length: " + everything + "\r\n\r\n"),
		"hangs":                receiver(t, func(conn net.Conn) { io.Copy(io.Discard, conn) }),
		"resets":               receiver(t, func(conn net.Conn) { conn.(*net.TCPConn).SetLinger(0) }),
	}
	client := newClient(t, onLoopback(shortTime))
	for name, host := range hosts {
		t.Run(name, func(t *testing.T) {
			_, err := client.Post(t.Context(), secretive(host))
			if err == nil {
				t.Fatal("there is no error")
			}
			if text := fmt.Sprintf("%v %+v", err, err); strings.Contains(text, "T0KEN") || strings.Contains(text, theSecrets[6]) {
				t.Error(text)
			}
		})
	}
}

func TestAnswersThatRepeatSecretsAreStarred(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, "Cannot POST %s: no route for %q, %v, %s", r.RequestURI, r.URL.Path, r.URL.Query(), r.Header)
		io.WriteString(w, strings.Repeat(" ", 4090-600)+strings.Repeat("T0KEN-of-the-path ", 100))
	}))
	defer web.Close()
	answer, err := newClient(t, onLoopback(time.Second)).Post(t.Context(), secretive(strings.TrimPrefix(web.URL, "http://")))
	if err != nil || answer.Status != http.StatusNotFound || !strings.HasPrefix(string(answer.Body), "Cannot POST ****") || len(answer.Body) != excerptBytes {
		t.Fatalf("%d %s, %v", answer.Status, answer.Body, err)
	}
	if text := string(answer.Body); strings.Contains(text, "T0K") || strings.Contains(text, theSecrets[6]) {
		t.Error(text)
	}
}

func TestFailureIsOneShortPrintableLine(t *testing.T) {
	for _, text := range []string{"HTTP/1.1 \x1b[31mred\x07\r\n\r\n", "HTTP/1.1 200 OK\r\n\xff\xfe\u202e: x\x00\r\n\r\n", strings.Repeat("z", 3000) + "\r\n\r\n"} {
		address := receiver(t, func(conn net.Conn) { io.WriteString(conn, text) })
		_, err := newClient(t, onLoopback(shortTime)).Post(t.Context(), webhook("http://"+address))
		if err == nil || len(err.Error()) > 4*longestText || strings.ContainsAny(err.Error(), "\n\r\x1b\x07\x00\u202e") || !utf8.ValidString(err.Error()) {
			t.Errorf("%q: %q", text, err)
		}
	}
}

func TestNamesInACertificateAreShownHarmless(t *testing.T) {
	config := newAuthority(t).server(t, func(c *x509.Certificate) {
		c.DNSNames = []string{"a\nlevel=ERROR msg=forged", "\x1b[31mred", strings.Repeat("long.", 300)}
	})
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.TLS = config
	web.Config.ErrorLog = log.New(t.Output(), "", 0)
	web.StartTLS()
	defer web.Close()
	_, err := newClient(t, onLoopback(time.Second)).Post(t.Context(), webhook(strings.Replace(web.URL, "127.0.0.1", "localhost", 1)))
	if err == nil || !strings.Contains(err.Error(), "forged") || len(err.Error()) > 4*longestText || strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Errorf("got %q", err)
	}
}
