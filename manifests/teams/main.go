// Command teams makes the app packages that a Microsoft Teams tenant is given: a manifest, filled in for one installation,
// and the icons, in a zip. There are two, for the newest schema of manifests and for an older one without slash commands,
// both from the manifest beside this file.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run gives the exit code: 0 done, 1 failed, 2 wrong usage.
func run(args []string, stdout, stderr io.Writer) int {
	a, out, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if err := a.check(); err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	if err := write(a, out, stdout); err != nil {
		fmt.Fprintln(stderr, "teams:", err)
		return 1
	}
	return 0
}

// app is what tells one installation's app from another's.
type app struct {
	id      string // of the bot's registration, a GUID
	domain  string // where Elevate is reached
	name    string
	version string
}

func parse(args []string, out io.Writer) (a app, dir string, err error) {
	f := flag.NewFlagSet("teams", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&a.id, "app-id", "", "Application (client) `ID` of the bot's registration, a GUID; required (make: APP_ID)")
	f.StringVar(&a.domain, "domain", "", "`name` of the host at which Teams reaches Elevate, such as elevate.example.com; required (make: DOMAIN)")
	f.StringVar(&a.name, "name", "", "what people call the app, at most 30 characters (make: NAME; default Elevate)")
	f.StringVar(&a.version, "version", "", "of the package; raise it to replace one that was uploaded (make: VERSION; default 1.0.0)")
	f.StringVar(&dir, "out", "dist", "`folder` to write to")
	f.Usage = func() {
		fmt.Fprintln(out, "teams makes the app packages for Microsoft Teams.\n\nUsage: go run ./manifests/teams -app-id ID -domain NAME [flags]")
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return a, dir, err
	}
	if f.NArg() > 0 {
		fmt.Fprintf(out, "teams takes flags only, not %q. See teams -help.\n", f.Arg(0))
		return a, dir, errors.New("arguments given")
	}
	return a.complete(), dir, nil
}

// complete fills in what may be left out, and takes off what slips in when a value is pasted.
func (a app) complete() app {
	return app{
		id:      strings.ToLower(strings.TrimSpace(a.id)),
		domain:  strings.ToLower(strings.TrimSpace(a.domain)),
		name:    cmp.Or(strings.TrimSpace(a.name), "Elevate"),
		version: cmp.Or(strings.TrimSpace(a.version), "1.0.0"),
	}
}

var (
	guid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	// host is a name with a dot in it that does not end like an address.
	host    = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
	numbers = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){2}$`)
)

// check gives every problem at once, each with what to do about it.
func (a app) check() error {
	return errors.Join(a.checkID(), a.checkDomain(), a.checkName(), a.checkVersion())
}

func (a app) checkID() error {
	const take = "take the Application (client) ID of the bot's registration, such as 0f6e2d4c-8a1b-4c3d-9e5f-a1b2c3d4e5f6"
	switch {
	case a.id == "":
		return errors.New("app-id is missing: " + take)
	case !guid.MatchString(a.id), strings.Trim(a.id, "0-") == "":
		return fmt.Errorf("app-id: %q is not a GUID of an application: %s", a.id, take)
	}
	return nil
}

func (a app) checkDomain() error {
	const give = "give the name of the host alone, such as elevate.example.com"
	switch {
	case a.domain == "":
		return errors.New("domain is missing: " + give)
	case strings.ContainsAny(a.domain, "/:"):
		return fmt.Errorf("domain: %q has a scheme, a port or a path: %s", a.domain, give)
	case len(a.domain) > 253, !host.MatchString(a.domain):
		return fmt.Errorf("domain: %q is not the name of a host that Teams can reach: %s", a.domain, give)
	}
	return nil
}

// checkName. Teams: 30 characters.
func (a app) checkName() error {
	if n := utf8.RuneCountInString(a.name); n > 30 {
		return fmt.Errorf("name: %q has %d characters, Teams takes 30: shorten it", a.name, n)
	}
	if !utf8.ValidString(a.name) || strings.ContainsFunc(a.name, unicode.IsControl) {
		return fmt.Errorf("name: %q has characters that cannot be shown: type it anew", a.name)
	}
	return nil
}

func (a app) checkVersion() error {
	if !numbers.MatchString(a.version) {
		return fmt.Errorf("version: %q is not three numbers: write it like 1.2.0", a.version)
	}
	return nil
}

// write makes the packages in a folder and says what they are.
func write(a app, dir string, stdout io.Writer) error {
	if err := os.MkdirAll(dir, 0o750); err != nil { //nolint:gosec // where whoever runs it says
		return err
	}
	for _, e := range editions() {
		zipped, err := pack(a, e)
		if err != nil {
			return fmt.Errorf("pack %s: %w", e.file, err)
		}
		path := filepath.Join(dir, e.file)
		if err := os.WriteFile(path, zipped, 0o600); err != nil { //nolint:gosec // where whoever runs it says
			return err
		}
		fmt.Fprintf(stdout, "%s  %s\n", path, e.says)
	}
	return nil
}
