package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPackagesAreWritten(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "dist")
	var out, problems bytes.Buffer
	if code := run([]string{"-app-id", sample().id, "-domain", "elevate.example.com", "-name", "", "-version", "", "-out", dir}, &out, &problems); code != 0 || problems.Len() > 0 {
		t.Fatalf("code %d: %s", code, &problems)
	}
	for _, e := range editions() {
		path := filepath.Join(dir, e.file)
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := pack(sample(), e)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is another package: %v", e.file, err)
		}
		if !strings.Contains(out.String(), path) {
			t.Errorf("nothing is said of %s: %s", path, &out)
		}
	}
	if b := read(t, sample(), editions()[0]); b.Name.Short != "Elevate" || b.Version != "1.0.0" {
		t.Errorf("name %q and version %q where none were given", b.Name.Short, b.Version)
	}
}

func TestProblemsSayWhatToDo(t *testing.T) {
	t.Parallel()
	good := map[string]string{"app-id": sample().id, "domain": "elevate.example.com"}
	for _, c := range []struct{ flag, value, says string }{
		{"app-id", "", "app-id is missing: take the Application (client) ID"},
		{"app-id", "elevate", `app-id: "elevate" is not a GUID of an application: take the Application (client) ID`},
		{"app-id", "28:" + sample().id, "is not a GUID"},
		{"app-id", "{" + sample().id + "}", "is not a GUID"},
		{"app-id", "00000000-0000-0000-0000-000000000000", "is not a GUID of an application"},
		{"domain", "", "domain is missing: give the name of the host alone"},
		{"domain", "https://elevate.example.com", "has a scheme, a port or a path: give the name of the host alone"},
		{"domain", "elevate.example.com/api/messages", "has a scheme, a port or a path"},
		{"domain", "elevate.example.com:8443", "has a scheme, a port or a path"},
		{"domain", "localhost", "is not the name of a host that Teams can reach"},
		{"domain", "10.0.0.1", "is not the name of a host that Teams can reach"},
		{"domain", "*.example.com", "is not the name of a host that Teams can reach"},
		{"domain", "elevate example.com", "is not the name of a host that Teams can reach"},
		{"domain", strings.Repeat("a.", 126) + "com", "is not the name of a host that Teams can reach"},
		{"name", strings.Repeat("E", 31), "has 31 characters, Teams takes 30: shorten it"},
		{"name", "Ele\nvate", "has characters that cannot be shown: type it anew"},
		{"version", "v1.2.3", `version: "v1.2.3" is not three numbers: write it like 1.2.0`},
		{"version", "1.2", "is not three numbers"},
		{"version", "01.2.3", "is not three numbers"},
	} {
		var args []string
		for flag, value := range good {
			if flag != c.flag {
				args = append(args, "-"+flag, value)
			}
		}
		dir := filepath.Join(t.TempDir(), "dist")
		var out, problems bytes.Buffer
		code := run(append(args, "-"+c.flag, c.value, "-out", dir), &out, &problems)
		if said := problems.String(); code != 2 || !strings.Contains(said, c.says) || strings.Count(said, "\n") != 1 {
			t.Errorf("%s %q: code %d, said %q", c.flag, c.value, code, said)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s %q: something was written", c.flag, c.value)
		}
	}
}

func TestEveryProblemIsToldAtOnce(t *testing.T) {
	t.Parallel()
	var out, problems bytes.Buffer
	if code := run([]string{"-name", strings.Repeat("E", 31), "-version", "one"}, &out, &problems); code != 2 {
		t.Errorf("code %d", code)
	}
	var keys []string
	for line := range strings.Lines(problems.String()) {
		keys = append(keys, strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == ':' })[0])
	}
	if !slices.Equal(keys, []string{"app-id", "domain", "name", "version"}) {
		t.Errorf("told of %v: %s", keys, &problems)
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "dist")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"help":         {[]string{"-help"}, 0, "-app-id"},
		"unknown flag": {[]string{"-appid", sample().id}, 2, "-appid"},
		"argument":     {[]string{sample().id}, 2, "flags only"},
		"a file where the folder belongs": {
			[]string{"-app-id", sample().id, "-domain", "elevate.example.com", "-out", file}, 1, "teams: ",
		},
	} {
		var out, said bytes.Buffer
		if code := run(c.args, &out, &said); code != c.code || !strings.Contains(said.String(), c.says) {
			t.Errorf("%s: code %d, said %q", name, code, &said)
		}
	}
}
