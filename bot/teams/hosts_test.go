package teams

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/oauth2"
)

// evil are service URLs that no token may be sent to, by what they try.
var evil = map[string][]string{
	"no address": {
		"", " ", "/", "https://", "https:///", "https:smba.trafficmanager.net/", "//smba.trafficmanager.net/",
		"smba.trafficmanager.net", "urn:botframework:websocket:x",
	},
	"another scheme": {
		"http://smba.trafficmanager.net/teams/", "http://teams.microsoft.com/", "ftp://smba.trafficmanager.net/",
		"javascript://smba.trafficmanager.net/",
	},
	"this machine": {
		"https://localhost/", "https://LOCALHOST:8443/", "http://127.0.0.1:3978/", "https://127.0.0.1/", "https://127.1/",
		"https://0/", "https://0.0.0.0/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/",
		"https://017700000001/", "https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[fe80::1%25eth0]/",
	},
	"what clouds tell their machines": {
		"http://169.254.169.254/metadata/", "https://169.254.169.254/", "https://[fd00:ec2::254]/",
		"https://metadata.google.internal/", "https://metadata/", "https://168.63.129.16/",
	},
	"the inside": {"https://10.0.0.1/", "https://kubernetes.default.svc/", "https://elevate-redis:6379/"},
	"strangers, and those that look like Microsoft": {
		"https://evil.example/", "https://evil.trafficmanager.net/", "https://xsmba.trafficmanager.net/",
		"https://a.smba.trafficmanager.net/", "https://smba.trafficmanager.net.evil/", "https://smba.trafficmanager.network/",
		"https://evilbotframework.com/", "https://botframework.com/", "https://.botframework.com/", "https://..botframework.com/",
		"https://a..botframework.com/", "https://-.botframework.com/", "https://botframework.com.evil.example/",
		"https://teams.microsoft.com.evil.net/", "https://evilteams.microsoft.com/", "https://microsoft.com/",
		"https://" + strings.Repeat("a", 64) + ".botframework.com/",
	},
	"another cloud": {"https://smba.infra.gov.teams.microsoft.us/teams/"},
	"a host that is not where it seems to be": {
		"https://smba.trafficmanager.net@evil.example/", "https://user:pw@smba.trafficmanager.net/",
		"https://evil.example\\@smba.trafficmanager.net/", "https://smba.trafficmanager.net\\@evil.example/",
		"https://smba.trafficmanager.net\\.evil.example/", "https://evil.example/smba.trafficmanager.net/",
		"https://evil.example?https://smba.trafficmanager.net/", "https://evil.example#https://smba.trafficmanager.net/",
		"https://smba.trafficmanager.net?@evil.example/", "https://smba.trafficmanager.net#@evil.example/",
		"https://smba.trafficmanager.net:443@evil.example/",
	},
	"something after the path": {"https://smba.trafficmanager.net/teams/?x=1", "https://smba.trafficmanager.net/teams/#x"},
	"another name of the host": {
		"https://smba.trafficmanager.net./teams/", "https://smba%2etrafficmanager.net/",
		"https://smba.trafficmanager.net%00.evil.example/", "https://smba.trafficmanager.net%2f.evil.example/",
		"https://smba\u3002trafficmanager\u3002net/", "https://smba\uff0etrafficmanager.net/",
		"https://smba.trafficmanager.n\u0435t/", "https://\uff33mba.trafficmanager.net/", "https://smba.xn--trafficmanager-9k9a.net/",
	},
	"another port": {
		"https://smba.trafficmanager.net:8443/", "https://smba.trafficmanager.net:80/", "https://smba.trafficmanager.net:/",
		"https://smba.trafficmanager.net:0443/", "https://smba.trafficmanager.net:443:443/",
	},
	"a path that leads astray": {
		"https://smba.trafficmanager.net/../evil/", "https://smba.trafficmanager.net/%2e%2e/", "https://smba.trafficmanager.net/a/./b",
		"https://smba.trafficmanager.net//evil.example/", "https://smba.trafficmanager.net/;x",
		"https://smba.trafficmanager.net/\r\nHost: evil.example", "https://smba.trafficmanager.net/" + strings.Repeat("a", 1000),
	},
	"what somebody may trim": {
		" https://smba.trafficmanager.net/", "https://smba.trafficmanager.net/ ", "https://smba.trafficmanager.net/\n",
		"\thttps://smba.trafficmanager.net/", "https://smba.traffic\nmanager.net/", "https://smba.trafficmanager.net\x00/",
	},
}

// TestEvilServiceURLsAreNotCalled with anything: no connection is made, and no token fetched.
func TestEvilServiceURLsAreNotCalled(t *testing.T) {
	t.Parallel()
	known, err := newHosts(Clouds()["public"], nil)
	if err != nil {
		t.Fatal(err)
	}
	var dials, fetches atomic.Int64
	dial := func(context.Context, string, string) (net.Conn, error) {
		dials.Add(1)
		return nil, errors.New("nobody is there")
	}
	c := newConnector(connectorConfig{
		Hosts:  known,
		Tokens: sourceFunc(func() (*oauth2.Token, error) { fetches.Add(1); return &oauth2.Token{AccessToken: farToken}, nil }),
		HTTP:   &http.Client{Transport: &http.Transport{DialContext: dial, DialTLSContext: dial}},
	})
	for tries, services := range evil {
		for _, service := range services {
			for name, err := range everyCall(t.Context(), c, place{service, "19:c@thread.tacv2"}) {
				if final, _ := meaning(t, sendError(name, err)); !errors.Is(err, errHost) || !final {
					t.Errorf("%s: %s at %q: %v, final %t", tries, name, service, err, final)
				}
				if err != nil && (strings.Contains(err.Error(), "pw") || len(err.Error()) > 300) {
					t.Errorf("%q is in the log: %v", service, err)
				}
			}
		}
	}
	if dials.Load() > 0 || fetches.Load() > 0 {
		t.Errorf("%d connections and %d tokens", dials.Load(), fetches.Load())
	}
	everyCall(t.Context(), c, place{"https://smba.trafficmanager.net/teams/", "19:c@thread.tacv2"})
	if dials.Load() == 0 || fetches.Load() == 0 {
		t.Error("nothing would have been counted")
	}
}

func TestServiceURLsOfMicrosoft(t *testing.T) {
	t.Parallel()
	for cloud, services := range map[string]map[string]string{
		"public": {
			"https://smba.trafficmanager.net/emea/":               "https://smba.trafficmanager.net/emea/",
			"https://smba.trafficmanager.net/amer/9b1d-7e40/":     "https://smba.trafficmanager.net/amer/9b1d-7e40/",
			"HTTPS://SMBA.TrafficManager.NET:443/Teams":           "https://smba.trafficmanager.net/Teams",
			"https://smba.trafficmanager.net":                     "https://smba.trafficmanager.net",
			"https://smba.infra.gcc.teams.microsoft.com/gcc/":     "https://smba.infra.gcc.teams.microsoft.com/gcc/",
			"https://europe.webchat.botframework.com/":            "https://europe.webchat.botframework.com/",
			"https://smba.infra.teams.microsoft.com:443/v1.0_x~-": "https://smba.infra.teams.microsoft.com/v1.0_x~-",
		},
		"usgov": {
			"https://smba.infra.gov.teams.microsoft.us/teams/": "https://smba.infra.gov.teams.microsoft.us/teams/",
			"https://smba.infra.dod.teams.microsoft.us/teams":  "https://smba.infra.dod.teams.microsoft.us/teams",
		},
		"china": {"https://smba.infra.teams.microsoftonline.cn/teams/": "https://smba.infra.teams.microsoftonline.cn/teams/"},
	} {
		known, err := newHosts(Clouds()[cloud], nil)
		if err != nil {
			t.Fatal(err)
		}
		for service, want := range services {
			if u, err := known.allow(service); err != nil || u.String() != want {
				t.Errorf("%s: %q gives %v, %v", cloud, service, u, err)
			}
		}
	}
}

// TestCloudsAreKeptApart and none lets just anybody's host in.
func TestCloudsAreKeptApart(t *testing.T) {
	t.Parallel()
	for name, cloud := range Clouds() {
		known, err := newHosts(cloud, nil)
		if err != nil {
			t.Fatal(err)
		}
		for other, c := range Clouds() {
			if _, err := known.allow(c.ServiceURL); (err == nil) != (name == other) {
				t.Errorf("%s: the service of %s: %v", name, other, err)
			}
		}
		for _, anybody := range []string{"trafficmanager.net", "azurewebsites.net", "cloudapp.azure.com", "azure.us", "azure.cn", "sharepoint.com"} {
			if _, err := known.allow("https://mine." + anybody + "/"); err == nil {
				t.Errorf("%s lets a host of %s in", name, anybody)
			}
		}
	}
}

// TestOwnServiceURLs are those that the operator wrote, and no others at the same host.
func TestOwnServiceURLs(t *testing.T) {
	t.Parallel()
	known, err := newHosts(Clouds()["public"], []string{
		"https://Teams.example.com", "https://bots.example.com:8443/teams/", "http://127.0.0.1:3978", "http://localhost:56150/_connector",
		"http://[::1]:3979", "https://10.1.2.3/",
	})
	if err != nil {
		t.Fatal(err)
	}
	for service, want := range map[string]bool{
		"https://teams.example.com":                       true,
		"https://TEAMS.EXAMPLE.COM:443/any/path":          true,
		"https://bots.example.com:8443/other":             true,
		"http://127.0.0.1:3978/":                          true,
		"http://localhost:56150/_connector":               true,
		"http://[::1]:3979/":                              true,
		"https://10.1.2.3/x":                              true,
		"https://smba.trafficmanager.net/teams/":          true, // still Microsoft's
		"http://teams.example.com/":                       false,
		"https://teams.example.com:8443/":                 false,
		"https://a.teams.example.com/":                    false,
		"https://bots.example.com/":                       false,
		"https://127.0.0.1:3978/":                         false,
		"http://127.0.0.1:3979/":                          false,
		"http://127.0.0.1/":                               false,
		"http://127.0.0.2:3978/":                          false,
		"http://localhost:3978/":                          false,
		"http://[::1]:3978/":                              false,
		"http://2130706433:3978/":                         false,
		"http://10.1.2.3/":                                false,
		"https://teams.example.com@evil.example/":         false,
		"https://teams.example.com/?q":                    false,
		"http://127.0.0.1:3978@evil.example/":             false,
		"https://teams.example.com.evil.example/":         false,
		"https://evil.example/https://teams.example.com/": false,
	} {
		if _, err := known.allow(service); (err == nil) != want {
			t.Errorf("%q: %v, want allowed %t", service, err, want)
		}
	}
}

// TestNewHostsNamesWhatIsWrong with every address that the operator wrote, and quotes none: there may be a password in it.
func TestNewHostsNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := newHosts(Clouds()["public"], []string{
		"https://good.example.com", "teams.example.com", "http://teams.example.com", "https://me:pw@teams.example.com", "http://10.0.0.1", "",
	})
	if err == nil {
		t.Fatal("all of it is taken")
	}
	for _, part := range []string{"entry 2 must be", "entry 3 begins with http://", "entry 4 must be", "entry 5 begins", "entry 6 must be"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %q", part, err)
		}
	}
	if strings.Contains(err.Error(), "entry 1 ") || strings.Contains(err.Error(), "pw") {
		t.Errorf("says %q", err)
	}
}

// FuzzServiceURL looks for a service URL that is let in although a call of it would go elsewhere.
func FuzzServiceURL(f *testing.F) {
	for _, services := range evil {
		for _, service := range services {
			f.Add(service)
		}
	}
	f.Add("https://smba.trafficmanager.net/teams/")
	f.Add("https://a.b.botframework.com:443")
	f.Add("http://127.0.0.1:3978/_connector")
	known, err := newHosts(Clouds()["public"], []string{"http://127.0.0.1:3978"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, service string) {
		u, err := known.allow(service)
		if err != nil {
			if u != nil || !errors.Is(err, errHost) {
				t.Fatalf("%q: %v, %v", service, u, err)
			}
			return
		}
		address, err := call{path: []string{"../" + service, "activities"}}.address(u)
		if err != nil {
			t.Fatalf("%q: %v", service, err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, nil)
		if err != nil {
			t.Fatalf("%q: %v", service, err)
		}
		given, err := url.Parse(service)
		if err != nil || !strings.EqualFold(given.Hostname(), req.URL.Hostname()) {
			t.Fatalf("%q is read as the host %q", service, req.URL.Host)
		}
		host := req.URL.Host
		ours := host == "smba.trafficmanager.net" || strings.HasSuffix(host, ".botframework.com") || strings.HasSuffix(host, ".teams.microsoft.com")
		if ours = ours && req.URL.Scheme == "https"; !ours && req.URL.Scheme+"://"+host != "http://127.0.0.1:3978" {
			t.Fatalf("%q goes to %s", service, address)
		}
		if req.URL.User != nil || req.URL.RawQuery != "" || req.URL.Fragment != "" || req.Host != host {
			t.Fatalf("%q goes to %s", service, address)
		}
	})
}
