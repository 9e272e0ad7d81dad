package teams

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// maxServiceURL is how long a service URL may be; Microsoft's have less than a hundred characters.
const maxServiceURL = 500

// errHost says that a service URL is none that the bot's token may go to.
var errHost = errors.New("the service URL is not one that the bot's token may be sent to")

var (
	// serviceForm is all that a service URL may be: an origin and a plain path. It is far narrower than what URLs may be,
	// so that no two readers of one can disagree about where the host in it begins and ends.
	serviceForm = regexp.MustCompile(`^(?i:https?)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*/?$`)
	// labels are what may stand before a domain.
	labels = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)
)

// hosts are where the bot's token may be sent. What comes in names the place to answer, and what is stored names it
// later, when no signature vouches for it any more: each call asks here first.
type hosts struct {
	microsoft []string        // as in Cloud.ServiceHost; by https, at its usual port
	own       map[string]bool // origins that the operator named, as they stand
}

// newHosts checks the addresses that the operator added. A path in one does not matter.
func newHosts(cloud Cloud, extra []string) (hosts, error) {
	h := hosts{microsoft: cloud.ServiceHost, own: map[string]bool{}}
	var errs []error
	for i, text := range extra {
		u, err := parseService(text)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("entry %d must be a whole address without user name, such as https://teams.example.com", i+1))
		case u.Scheme == "http" && !onLoopback(u):
			errs = append(errs, fmt.Errorf("entry %d begins with http://, by which others could read the bot's token; write https://", i+1))
		default:
			h.own[origin(u)] = true
		}
	}
	return h, errors.Join(errs...)
}

// allow gives a service URL, its host in lower case, if the bot's token may be sent there.
func (h hosts) allow(serviceURL string) (*url.URL, error) {
	u, err := parseService(serviceURL)
	if err != nil {
		return nil, err
	}
	if h.own[origin(u)] || u.Scheme == "https" && slices.ContainsFunc(h.microsoft, func(entry string) bool { return covers(entry, u.Host) }) {
		return u, nil
	}
	return nil, fmt.Errorf("%w: it is at %q", errHost, u.Host)
}

// covers tells whether an entry of Cloud.ServiceHost stands for a host.
func covers(entry, host string) bool {
	if !strings.HasPrefix(entry, ".") {
		return host == entry
	}
	before, ok := strings.CutSuffix(host, entry)
	return ok && labels.MatchString(before)
}

// parseService reads a service URL. Its errors quote nothing of it: there may be a password in it.
func parseService(text string) (*url.URL, error) {
	if len(text) > maxServiceURL || !serviceForm.MatchString(text) {
		return nil, fmt.Errorf("%w: it is no plain https address", errHost)
	}
	u, err := url.Parse(text)
	if err != nil || slices.ContainsFunc(strings.Split(u.Path, "/"), func(s string) bool { return s == "." || s == ".." }) {
		return nil, fmt.Errorf("%w: it is no plain https address", errHost)
	}
	usual := map[string]string{"https": ":443", "http": ":80"}
	u.Host = strings.TrimSuffix(strings.ToLower(u.Host), usual[u.Scheme])
	return u, nil
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

func onLoopback(u *url.URL) bool {
	address, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && address.IsLoopback()
}
