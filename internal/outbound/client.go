package outbound

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// Options are what a [Client] works by.
type Options struct {
	Allow     []Class        // what may be reached; none: nothing
	Roots     *x509.CertPool // who may vouch for a receiver, see [LoadRoots]; nil: whom the system trusts
	UserAgent string
	Origin    string        // the header Belfry-Origin, by which a Belfry knows its own requests; "" for none
	Timeout   time.Duration // of an attempt, from the lookup of the name to the end of the answer; 0: 15 s
	Resolver  *net.Resolver // looks names up; nil: as the system does
	// Dial takes the place of the guarded dialling, so that a test can serve on a pipe; nil: the guard decides.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Limits on what a receiver can cost.
const (
	attemptTime = 15 * time.Second
	// excerptTime is what reading an answer's body may take: the status has said what counts.
	excerptTime = time.Second
	// excerptBytes is how much of an answer's body is kept. The rest is not read.
	excerptBytes = 4 << 10
	headerBytes  = 64 << 10
	// idleTime is shorter than the time after which receivers usually close a connection: a request that meets
	// the closing would be lost.
	idleTime  = 3 * time.Second
	idleConns = 64
	// longestWait is the longest that a receiver can ask for.
	longestWait = 24 * time.Hour
)

// Answer is what a receiver said.
type Answer struct {
	Status     int           // redirects are not followed
	Body       []byte        // its first 4 KiB, with stars where it repeats what is secret in the request; any bytes
	Header     http.Header   // as received, and so perhaps with such secrets
	RetryAfter time.Duration // how long the receiver asks to wait, at most 24 h; 0: it does not say
	Sent       http.Header   // the headers of the request
}

// Client sends webhooks. It is safe for concurrent use.
type Client struct {
	options   Options
	transport *http.Transport
}

// NewClient makes a client that reaches only what the options allow.
func NewClient(o Options) *Client {
	o.Timeout = cmp.Or(o.Timeout, attemptTime)
	dial := o.Dial
	if dial == nil {
		dialer := &net.Dialer{Timeout: o.Timeout, Resolver: o.Resolver, ControlContext: newGuard(o.Allow).control}
		dial = dialer.DialContext
	}
	return &Client{options: o, transport: &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    o.Timeout,
		DisableCompression:     true, // nothing is decoded, and so nothing swells
		MaxResponseHeaderBytes: headerBytes,
		MaxIdleConns:           idleConns,
		IdleConnTimeout:        idleTime,
	}}
}

// Close closes connections that are kept for the next request. Requests under way go on.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Post makes one attempt. Any answer is an answer, whatever its status; an error means that there was none: it is
// [ErrRefused] where the guard did not allow the address, see also [IsTimeout]. Its text names the host at most.
func (c *Client) Post(ctx context.Context, r Request) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	request, hidden, err := r.http(ctx, &c.options)
	if err != nil {
		return Answer{}, err
	}
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		text := ""
		if errors.Is(err, context.DeadlineExceeded) {
			text = fmt.Sprintf("no answer within %v", c.options.Timeout)
		}
		return Answer{}, fail(err, text, hidden)
	}
	defer response.Body.Close() // what is left of it is not read
	stop := time.AfterFunc(excerptTime, cancel)
	defer stop.Stop()
	sent := request.Header.Clone()
	sent.Set("Host", request.URL.Host)
	sent.Set("Content-Length", strconv.Itoa(len(r.Body)))
	return Answer{
		Status: response.StatusCode, Body: excerpt(response.Body, hidden), Header: response.Header,
		RetryAfter: retryAfter(response.Header), Sent: sent,
	}, nil
}

// excerpt reads the beginning of an answer. One that breaks off or does not end is as good as any other.
func excerpt(body io.Reader, hidden secrets) []byte {
	// A little more is read than is kept, so that a secret at the edge is seen whole.
	text, _ := io.ReadAll(io.LimitReader(body, int64(excerptBytes+hidden.longest())))
	text = hidden.hide(text)
	return text[:min(len(text), excerptBytes)]
}

// retryAfter reads both forms of the header: seconds, or a date, which is compared with the receiver's own clock.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	seconds, err := strconv.ParseUint(text, 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(longestWait/time.Second))) * time.Second
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return min(max(until.Sub(now), 0), longestWait)
}

// LoadRoots adds the certificates of a PEM file to those that the system trusts.
func LoadRoots(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("the system's certificates: %w", err)
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", path)
	}
	return roots, nil
}
