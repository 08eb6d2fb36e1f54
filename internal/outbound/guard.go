package outbound

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"code.dny.dev/ssrf"
)

// Class is a kind of address that --outbound-allow can name.
type Class string

// The classes. What belongs to none of them, such as multicast, documentation and tunnels, cannot be reached.
const (
	External  Class = "external"   // the Internet
	Private   Class = "private"    // RFC 1918, and unique local addresses of IPv6
	Shared    Class = "shared"     // 100.64.0.0/10, between a provider and its customers
	Loopback  Class = "loopback"   // this machine
	LinkLocal Class = "link-local" // this network segment
)

// DefaultClasses are allowed unless the operator says otherwise.
const DefaultClasses = string(External) + "," + string(Private)

// blocks are the addresses of each class. External is what the registries of special addresses leave.
var blocks = map[Class][]netip.Prefix{
	External:  nil,
	Private:   prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
	Shared:    prefixes("100.64.0.0/10"),
	Loopback:  prefixes("127.0.0.0/8", "::1/128"),
	LinkLocal: prefixes("169.254.0.0/16", "fe80::/10"),
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// metadata are services that hand the machines of a cloud their credentials. Some stand among private and even
// external addresses; no class allows them.
var metadata = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"), // nearly every cloud
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
	netip.MustParseAddr("169.254.170.2"),   // AWS, containers
	netip.MustParseAddr("169.254.170.23"),  // AWS, pods
	netip.MustParseAddr("fd00:ec2::23"),    // AWS, pods
	netip.MustParseAddr("fd20:ce::254"),    // Google
	netip.MustParseAddr("168.63.129.16"),   // Azure
	netip.MustParseAddr("100.100.100.200"), // Alibaba
}

// ParseClasses reads a list such as "external,private". There must be at least one.
func ParseClasses(list string) (classes []Class, err error) {
	for name := range strings.SplitSeq(list, ",") {
		class := Class(strings.TrimSpace(name))
		if _, known := blocks[class]; !known {
			return nil, fmt.Errorf("%q is none of external, private, shared, loopback, link-local", name)
		}
		classes = append(classes, class)
	}
	return classes, nil
}

// ErrRefused says that the guard does not allow an address. No connection was made.
var ErrRefused = errors.New("the address is not allowed")

// guard decides which addresses may be reached. It is asked about every address that is dialled, after names are
// resolved, so that neither a spelling nor a resolver's change of mind gets around it.
type guard struct {
	allowed []Class
	special *ssrf.Guardian
}

func newGuard(allow []Class) *guard {
	var v4, v6 []netip.Prefix
	for _, class := range allow {
		for _, p := range blocks[class] {
			if p.Addr().Is4() {
				v4 = append(v4, p)
			} else {
				v6 = append(v6, p)
			}
		}
	}
	options := []ssrf.Option{ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...)}
	if !slices.Contains(allow, External) {
		options = append(options, ssrf.WithDeniedV4Prefixes(prefixes("0.0.0.0/0")...), ssrf.WithDeniedV6Prefixes(prefixes("::/0")...))
	}
	return &guard{allowed: allow, special: ssrf.New(options...)}
}

// control refuses a connection before it is made. It is a [net.Dialer]'s ControlContext.
func (g *guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %q is no address that --outbound-allow could name", ErrRefused, address)
	}
	return g.check(at.Addr())
}

// check says whether an address may be reached, and if not, what would allow it.
func (g *guard) check(address netip.Addr) error {
	goal := destination(address)
	if slices.Contains(metadata, goal) {
		return fmt.Errorf("%w: %s hands out the credentials of a cloud's machines, and nothing in --outbound-allow opens it", ErrRefused, address)
	}
	if g.special.SafeAddr(goal) == nil {
		return nil
	}
	class := classOf(goal)
	if class == "" {
		return fmt.Errorf("%w: %s is for special use, and no class of --outbound-allow holds it", ErrRefused, address)
	}
	return fmt.Errorf("%w: %s is %s, which --outbound-allow does not name (it names %s)", ErrRefused, address, class, list(g.allowed))
}

// destination is the address that a connection ends at: IPv6 has ways of writing, and of reaching, those of IPv4.
func destination(a netip.Addr) netip.Addr {
	a = a.WithZone("").Unmap()
	if ssrf.IPv6NAT64Prefix.Contains(a) {
		whole := a.As16()
		return netip.AddrFrom4([4]byte(whole[12:]))
	}
	return a
}

// classOf is the class of an address, "" for none.
func classOf(a netip.Addr) Class {
	for class, block := range blocks {
		if slices.ContainsFunc(block, func(p netip.Prefix) bool { return p.Contains(a) }) {
			return class
		}
	}
	if ssrf.New(ssrf.WithAnyPort()).SafeAddr(a) == nil {
		return External
	}
	return ""
}

// list writes classes as [ParseClasses] reads them.
func list(classes []Class) string {
	names := make([]string, len(classes))
	for i, class := range classes {
		names[i] = string(class)
	}
	return strings.Join(names, ",")
}
