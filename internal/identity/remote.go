package identity

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the networks whose forwarding headers count; none trusts nobody.
type Proxies []netip.Prefix

// ParseProxies reads addresses and networks (10.0.0.0/8, ::1), separated by commas.
func ParseProxies(list string) (Proxies, error) {
	var all Proxies
	for text := range strings.SplitSeq(list, ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		network, err := netip.ParsePrefix(text)
		if err != nil {
			address, err := netip.ParseAddr(text)
			if err != nil || address.Zone() != "" {
				return nil, fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", text)
			}
			network = netip.PrefixFrom(address, address.BitLen())
		}
		if network.Addr().Is4In6() {
			return nil, fmt.Errorf("%q: write IPv4 as IPv4", text)
		}
		all = append(all, network.Masked())
	}
	return all, nil
}

func (p Proxies) trusts(address netip.Addr) bool {
	for _, network := range p {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

// remote is who is at the far end of a request.
type remote struct {
	address string       // without a port; "" where it is not an address, such as a Unix socket's
	source  netip.Prefix // what is limited as one
	secure  bool         // by TLS
}

// remote says who made a request. What X-Forwarded-For and X-Forwarded-Proto say counts only where a trusted proxy
// hands the request over. Forwarded is not read: a proxy that sets one of two headers passes on the other one as the
// client wrote it.
func (p Proxies) remote(r *http.Request) remote {
	c := remote{secure: r.TLS != nil}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return c
	}
	address := plain(peer.Addr())
	if p.trusts(address) {
		schemes := listed(r.Header["X-Forwarded-Proto"])
		c.secure = c.secure || len(schemes) > 0 && strings.EqualFold(schemes[len(schemes)-1], "https")
		address = p.origin(address, listed(r.Header["X-Forwarded-For"]))
	}
	c.address, c.source = address.String(), sourceOf(address)
	return c
}

// origin is the right-most hop that is no trusted proxy. The hops to the left of it are whatever the client made up. A
// hop that is no address ends the search: the proxy that wrote it down is the last that is known.
func (p Proxies) origin(peer netip.Addr, hops []string) netip.Addr {
	for i := len(hops) - 1; i >= 0 && p.trusts(peer); i-- {
		hop, err := parseHop(hops[i])
		if err != nil {
			break
		}
		peer = hop
	}
	return peer
}

// parseHop reads an address, which some proxies write with its port.
func parseHop(text string) (netip.Addr, error) {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return plain(withPort.Addr()), nil
	}
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return plain(address), err
}

// listed are the members of a header whose values are lists, in order.
func listed(values []string) (members []string) {
	for _, value := range values {
		for member := range strings.SplitSeq(value, ",") {
			members = append(members, strings.TrimSpace(member))
		}
	}
	return members
}

// plain is an address without a zone, and IPv4 as such.
func plain(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }

// sourceOf is what is limited as one source: one address, or one /64 of IPv6 addresses, because that is what one
// customer is given.
func sourceOf(address netip.Addr) netip.Prefix {
	bits := 32
	if address.Is6() {
		bits = 64
	}
	source, err := address.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return source
}
