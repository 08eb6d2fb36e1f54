package drf

import (
	"net/netip"
	"regexp"
	"strings"
)

// The checks of text are Django's validators, with their texts.
const (
	msgURL   = "Enter a valid URL."
	msgEmail = "Enter a valid email address."
	msgSlug  = `Enter a valid "slug" consisting of letters, numbers, underscores or hyphens.`
	msgIP    = "Enter a valid IPv4 or IPv6 address."
)

const (
	// letter is what may begin and end a label of a host name: Django takes all of Unicode above U+00A0. Both cases stand
	// here, because to look for the other case of all that would be work for each start.
	letter = `[a-zA-Z0-9\x{a1}-\x{10ffff}]`
	label  = letter + `(?:[a-zA-Z0-9\x{a1}-\x{10ffff}-]{0,61}` + letter + `)?`
	atom   = "[-!#$%&'*+/=?^_`{}|~0-9a-z]+"
)

var (
	slugPattern = regexp.MustCompile(`^[-a-zA-Z0-9_]+$`)
	urlPattern  = regexp.MustCompile(`^(?i:https?|ftps?)://(?:[^:@/]+(?::[^:@/]*)?@)?` +
		`(\[[0-9a-fA-F:.]+\]|` + label + `(?:\.` + label + `)*)(?::[0-9]{1,5})?(?:[/?#].*)?$`)
	emailUser   = regexp.MustCompile(`(?i)^(?:` + atom + `(?:\.` + atom + `)*|"(?:[\x01-\x08\x0b\x0c\x0e-\x1f!#-\[\]-\x7f]|\\[\x01-\x09\x0b\x0c\x0e-\x7f])*")$`)
	emailDomain = regexp.MustCompile(`^(?:` + label + `\.)+` + label + `$`)
)

func validSlug(s string) bool { return slugPattern.MatchString(s) }

// validURL is Django's URLValidator without its check of the domain: a host needs no dot.
func validURL(s string) bool {
	if strings.ContainsFunc(s, isSpace) {
		return false
	}
	m := urlPattern.FindStringSubmatch(s)
	if m == nil || len(m[1]) > 253 {
		return false
	}
	if inner, ok := strings.CutPrefix(m[1], "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && addr.Is6()
	}
	return true
}

func validEmail(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at < 0 || len(s) > 320 || !emailUser.MatchString(s[:at]) {
		return false
	}
	domain := s[at+1:]
	if inner, ok := strings.CutPrefix(domain, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && strings.HasSuffix(inner, "]") && addr.Zone() == ""
	}
	last := domain[strings.LastIndexByte(domain, '.')+1:]
	return domain == "localhost" || len(last) > 1 && emailDomain.MatchString(domain)
}

// normalIP is an address in the form in which it is stored, with an IPv4 address mapped into IPv6 as
// Django writes it (::ffff:1.2.3.4) and without a zone.
func normalIP(s string) (string, bool) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return "", false
	}
	return addr.WithZone("").String(), true
}
