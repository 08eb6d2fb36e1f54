package outbound

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// special are the blocks of IANA's registries of special addresses, with the class that opens each; "" for none.
var special = []struct {
	block string
	class Class
}{
	// IPv4
	{"0.0.0.0/8", ""}, {"0.0.0.0/32", ""}, {"10.0.0.0/8", Private}, {"100.64.0.0/10", Shared}, {"127.0.0.0/8", Loopback},
	{"169.254.0.0/16", LinkLocal}, {"172.16.0.0/12", Private}, {"192.0.0.0/24", ""}, {"192.0.0.0/29", ""}, {"192.0.0.8/32", ""},
	{"192.0.0.9/32", ""}, {"192.0.0.10/32", ""}, {"192.0.0.170/32", ""}, {"192.0.0.171/32", ""}, {"192.0.2.0/24", ""},
	{"192.31.196.0/24", ""}, {"192.52.193.0/24", ""}, {"192.88.99.0/24", ""}, {"192.168.0.0/16", Private}, {"192.175.48.0/24", ""},
	{"198.18.0.0/15", ""}, {"198.51.100.0/24", ""}, {"203.0.113.0/24", ""}, {"240.0.0.0/4", ""}, {"255.255.255.255/32", ""},
	{"224.0.0.0/4", ""}, // of the registry of multicast
	// IPv6
	{"::1/128", Loopback}, {"::/128", ""}, {"64:ff9b:1::/48", ""}, {"100::/64", ""}, {"100:0:0:1::/64", ""},
	{"2001::/23", ""}, {"2001::/32", ""}, {"2001:1::1/128", ""}, {"2001:1::2/128", ""}, {"2001:1::3/128", ""}, {"2001:2::/48", ""},
	{"2001:3::/32", ""}, {"2001:4:112::/48", ""}, {"2001:10::/28", ""}, {"2001:20::/28", ""}, {"2001:30::/28", ""}, {"2001:db8::/32", ""},
	{"2002::/16", ""}, {"2620:4f:8000::/48", ""}, {"3fff::/20", ""}, {"5f00::/16", ""}, {"fc00::/7", Private}, {"fe80::/10", LinkLocal},
	{"ff00::/8", ""}, {"fec0::/10", ""}, {"::/96", ""}, {"::ffff:0:0:0/96", ""}, // multicast, and what was once in use
}

// within are addresses of a block: its first and last, and one in between.
func within(block netip.Prefix) []netip.Addr {
	first := block.Masked().Addr()
	last, middle := first.AsSlice(), first.AsSlice()
	for bit := block.Bits(); bit < first.BitLen(); bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
		if bit%2 == 0 {
			middle[bit/8] |= 0x80 >> (bit % 8)
		}
	}
	end, _ := netip.AddrFromSlice(last)
	between, _ := netip.AddrFromSlice(middle)
	return []netip.Addr{first, between, end}
}

// tunnelled are the ways of writing an IPv4 address within IPv6.
func tunnelled(a netip.Addr) map[string]netip.Addr {
	v4 := a.As4()
	build := func(at int, prefix ...byte) netip.Addr {
		var whole [16]byte
		copy(whole[:], prefix)
		copy(whole[at:], v4[:])
		return netip.AddrFrom16(whole)
	}
	teredo := build(12, 0x20, 0x01).As16()
	for i := 12; i < 16; i++ {
		teredo[i] ^= 0xff // Teredo hides the client's address so
	}
	return map[string]netip.Addr{
		"IPv4-mapped":     netip.AddrFrom16(a.As16()),
		"IPv4-compatible": build(12),
		"IPv4-translated": build(12, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff),
		"NAT64":           build(12, 0, 0x64, 0xff, 0x9b),
		"local NAT64":     build(12, 0, 0x64, 0xff, 0x9b, 0, 1),
		"6to4":            build(2, 0x20, 0x02),
		"Teredo":          netip.AddrFrom16(teredo),
		"Teredo's server": build(4, 0x20, 0x01),
	}
}

// counted is a client whose connections are counted: after the guard has let an address through, and before
// anything is sent to it.
func counted(t *testing.T, o Options) (*Client, *atomic.Int64) {
	t.Helper()
	var dialled atomic.Int64
	g := newGuard(o.Allow)
	dialer := &net.Dialer{Resolver: o.Resolver, ControlContext: func(ctx context.Context, network, address string, c syscall.RawConn) error {
		if err := g.control(ctx, network, address, c); err != nil {
			return err
		}
		dialled.Add(1)
		return errors.New("the test connects to nobody")
	}}
	o.Dial, o.Timeout = dialer.DialContext, 5*time.Second
	return newClient(t, o), &dialled
}

// wantRefused posts to a host and wants no connection, and an error that says what would help.
func wantRefused(t *testing.T, o Options, host string) {
	t.Helper()
	client, dialled := counted(t, o)
	_, err := client.Post(t.Context(), webhook("http://"+host+"/"))
	if dialled.Load() != 0 {
		t.Errorf("%s was dialled", host)
	}
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "--outbound-allow") {
		t.Errorf("%s: %v", host, err)
	}
}

// hostOf writes an address into a URL.
func hostOf(a netip.Addr) string { return netip.AddrPortFrom(a, 8080).String() }

func TestSpecialAddressesAreReachedOnlyByTheirClass(t *testing.T) {
	for _, s := range special {
		for _, address := range within(netip.MustParsePrefix(s.block)) {
			var others []Class
			for _, class := range []Class{External, Private, Shared, Loopback, LinkLocal} {
				if class != s.class {
					others = append(others, class)
				}
			}
			wantRefused(t, Options{Allow: others}, hostOf(address))
			if s.class == "" {
				continue
			}
			client, dialled := counted(t, Options{Allow: []Class{s.class}})
			if _, err := client.Post(t.Context(), webhook("http://"+hostOf(address))); errors.Is(err, ErrRefused) || dialled.Load() == 0 {
				t.Errorf("%s is not opened by %s: %v", address, s.class, err)
			}
		}
	}
}

func TestSpecialAddressesAreNotReachedByTunnels(t *testing.T) {
	for _, s := range special {
		block := netip.MustParsePrefix(s.block)
		if !block.Addr().Is4() || s.class == Private {
			continue
		}
		for _, address := range within(block) {
			for name, spelling := range tunnelled(address) {
				t.Run(name+" "+address.String(), func(t *testing.T) {
					wantRefused(t, Options{Allow: []Class{External, Private}}, hostOf(spelling))
				})
			}
		}
	}
}

func TestMetadataIsRefusedByEverySpellingAndClass(t *testing.T) {
	all := []Class{External, Private, Shared, Loopback, LinkLocal}
	for _, address := range metadata {
		wantRefused(t, Options{Allow: all}, hostOf(address))
		if address.Is4() {
			for _, spelling := range tunnelled(address) {
				wantRefused(t, Options{Allow: all}, hostOf(spelling))
			}
		}
	}
	wantRefused(t, Options{Allow: all}, "[::ffff:169.254.169.254%25lo]:80")
}

func TestOrdinaryAddressesAreReached(t *testing.T) {
	byDefault, err := ParseClasses(DefaultClasses)
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"1.1.1.1", "8.8.8.8", "2606:4700::1111", "10.1.2.3", "172.20.0.1", "192.168.1.1", "fd12:3456::1",
		"::ffff:1.1.1.1", "64:ff9b::808:808", "172.32.0.1", "100.128.0.1", "11.0.0.1"} {
		client, dialled := counted(t, Options{Allow: byDefault})
		if _, err := client.Post(t.Context(), webhook("http://"+hostOf(netip.MustParseAddr(address)))); dialled.Load() != 1 {
			t.Errorf("%s: %v", address, err)
		}
	}
	client, dialled := counted(t, Options{Allow: []Class{LinkLocal}})
	if _, err := client.Post(t.Context(), webhook("http://[fe80::1%25lo]:80/")); dialled.Load() != 1 {
		t.Errorf("a link-local address needs its zone: %v", err)
	}
	wantRefused(t, Options{Allow: []Class{Private}}, "1.1.1.1")
	wantRefused(t, Options{Allow: []Class{Private}}, "[2606:4700::1111]")
	wantRefused(t, Options{Allow: []Class{External}}, "10.1.2.3")
	wantRefused(t, Options{}, "1.1.1.1")
}

func TestRefusalNamesTheClassThatIsMissing(t *testing.T) {
	for address, class := range map[string]string{
		"127.0.0.1": "loopback", "::ffff:127.0.0.1": "loopback", "100.64.0.1": "shared", "fe80::1": "link-local", "10.0.0.1": "private", "1.1.1.1": "external",
	} {
		err := newGuard([]Class{}).check(netip.MustParseAddr(address))
		if err == nil || !strings.Contains(err.Error(), " is "+class+",") {
			t.Errorf("%s: want %s named, got %v", address, class, err)
		}
	}
}

// names answers every question for the addresses of a name with those that the function gives for the n-th one.
func names(t *testing.T, answer func(n int) netip.Addr) *net.Resolver {
	var asked atomic.Int64
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			length := make([]byte, 2)
			for {
				if _, err := there.Read(length); err != nil {
					return
				}
				question := make([]byte, binary.BigEndian.Uint16(length))
				if _, err := there.Read(question); err != nil {
					return
				}
				reply := respond(question, answer, &asked)
				if _, err := there.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
					return
				}
			}
		}()
		return here, nil
	}}
}

// respond is a DNS message that answers another: with an address where one of its kind was asked for.
func respond(question []byte, answer func(n int) netip.Addr, asked *atomic.Int64) []byte {
	end := 12
	for question[end] != 0 {
		end += int(question[end]) + 1
	}
	kind := binary.BigEndian.Uint16(question[end+1:])
	reply := append([]byte{question[0], question[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question[12:end+5]...)
	address := answer(int(asked.Load()))
	if wanted := map[bool]uint16{true: 1, false: 28}[address.Is4()]; kind != wanted {
		return reply
	}
	asked.Add(1)
	reply[7] = 1
	raw := address.AsSlice()
	reply = append(reply, 0xc0, 12, byte(kind>>8), byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(len(raw)))
	return append(reply, raw...)
}

// trap is a receiver on loopback that must not be reached.
func trap(t *testing.T) (port string, hits *atomic.Int64) {
	t.Helper()
	hits = new(atomic.Int64)
	address := rawReceiver(t, func(net.Conn) { hits.Add(1) })
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port, hits
}

func TestLoopbackIsNotReachedByAnyName(t *testing.T) {
	port, hits := trap(t)
	loopback := netip.MustParseAddr("127.0.0.1")
	resolver := names(t, func(int) netip.Addr { return loopback })
	for _, host := range []string{
		"127.0.0.1", "localhost", "LOCALHOST.", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]",
		"0.0.0.0", "[::]", "0", "127.1", "0x7f.1", "0177.0.0.1", "2130706433", "0x7f000001", "127.0.0.1.", "127.000.000.001",
		"receiver.example", "127.0.0.1.nip.example", "①②⑦.⓪.⓪.①", "127。0。0。1", "user@127.0.0.1", "1.1.1.1@127.0.0.1", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]",
	} {
		client := newClient(t, Options{Allow: []Class{External, Private}, Resolver: resolver, Timeout: time.Second})
		answer, err := client.Post(t.Context(), webhook("http://"+host+":"+port+"/"))
		if err == nil {
			t.Errorf("%s answered %d", host, answer.Status)
		} else if IsTimeout(err) {
			t.Errorf("%s was tried: %v", host, err)
		}
	}
	if hits.Load() != 0 {
		t.Errorf("loopback was reached %d times", hits.Load())
	}
	client := newClient(t, Options{Allow: []Class{Loopback}, Resolver: resolver, Timeout: time.Second})
	if _, err := client.Post(t.Context(), webhook("http://receiver.example:"+port+"/")); err == nil || hits.Load() != 1 {
		t.Errorf("the trap is none: %d connections, %v", hits.Load(), err)
	}
}

func TestNameOfARefusedAddressIsRefused(t *testing.T) {
	for _, s := range special {
		address := within(netip.MustParsePrefix(s.block))[1]
		if s.class == Private {
			continue
		}
		wantRefused(t, Options{Allow: []Class{External, Private}, Resolver: names(t, func(int) netip.Addr { return address })}, "receiver.example")
	}
}

func TestResolverThatChangesItsAnswerGainsNothing(t *testing.T) {
	port, hits := trap(t)
	resolver := names(t, func(n int) netip.Addr {
		if n == 0 {
			return netip.MustParseAddr("1.1.1.1")
		}
		return netip.MustParseAddr("127.0.0.1")
	})
	client, dialled := counted(t, Options{Allow: []Class{External}, Resolver: resolver})
	if _, err := client.Post(t.Context(), webhook("http://receiver.example:"+port)); errors.Is(err, ErrRefused) || dialled.Load() != 1 {
		t.Errorf("the first answer was not tried: %v", err)
	}
	if _, err := client.Post(t.Context(), webhook("http://receiver.example:"+port)); !errors.Is(err, ErrRefused) || dialled.Load() != 1 || hits.Load() != 0 {
		t.Errorf("the second answer was tried: %v", err)
	}
}

func TestRedirectLeadsNowhere(t *testing.T) {
	port, hits := trap(t)
	for _, status := range []int{301, 302, 303, 307, 308} {
		web := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:"+port+"/", status))
		answer, err := newClient(t, onLoopback(time.Second)).Post(t.Context(), webhook(web.URL))
		if err != nil || answer.Status != status || hits.Load() != 0 {
			t.Errorf("%d: got %d after %d connections to the trap, %v", status, answer.Status, hits.Load(), err)
		}
		web.Close()
	}
}

func TestClassesAreReadOrRefused(t *testing.T) {
	for text, want := range map[string]int{"external": 1, "external,private": 2, " private , link-local ": 2, "external,private,shared,loopback,link-local": 5} {
		if classes, err := ParseClasses(text); err != nil || len(classes) != want {
			t.Errorf("%q: %v, %v", text, classes, err)
		}
	}
	for _, text := range []string{"", ",", "external,", "External", "metadata", "all", "10.0.0.0/8"} {
		if classes, err := ParseClasses(text); err == nil {
			t.Errorf("%q is %v", text, classes)
		}
	}
}

func TestOnlyWebAddressesArePosted(t *testing.T) {
	client, dialled := counted(t, Options{Allow: []Class{External, Private}})
	for _, text := range []string{"", "ftp://1.1.1.1/secret-path", "file:///secret-path", "http://", "http:///secret-path", "//1.1.1.1/secret-path",
		"http://1.1.1.1:port/secret-path", "http://1.1.1.1/%zz-secret-path", "http://a b/secret-path", "gopher://1.1.1.1/secret-path", "http://:80/secret-path"} {
		_, err := client.Post(t.Context(), webhook(text))
		if err == nil || dialled.Load() != 0 {
			t.Errorf("%q was requested", text)
		} else if strings.Contains(err.Error(), "secret-path") {
			t.Errorf("%q is told: %v", text, err)
		}
	}
}
