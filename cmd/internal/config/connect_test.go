package config

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

// settings is what the stub connector is configured by.
type settings struct {
	DSN      access.Secret
	URL      string
	Timeout  time.Duration
	MaxConns int
	Headers  map[string]string
	Tags     []string
	Nested   struct{ Strict bool }
	Ratio    float64
	Renamed  string `yaml:"other_name"`
	Hidden   string `yaml:"-"`
	Now      func() time.Time
	Logger   *slog.Logger
	private  string
}

// stub is a connector that nothing is asked of but its settings.
type stub struct {
	settings
	least time.Duration
}

func (*stub) Activate(context.Context, access.Grant) (access.Receipt, error) {
	return access.Receipt{}, errors.ErrUnsupported
}

func (*stub) Deactivate(context.Context, access.Grant, access.Receipt) (access.Removal, error) {
	return access.Removal{}, errors.ErrUnsupported
}

func (*stub) Holders(context.Context, access.Role) ([]connectors.Holder, error) {
	return nil, errors.ErrUnsupported
}

func (*stub) Check(context.Context) error { return errors.ErrUnsupported }

func (s *stub) Capabilities() connectors.Capabilities {
	return connectors.Capabilities{MinDuration: s.least}
}

func (*stub) CheckTarget(target map[string]any) error {
	var problems []error
	if target["role"] == nil {
		problems = append(problems, errors.New("target.role: is missing"))
	}
	if target["port"] == "x" {
		problems = append(problems, errors.New("target.port: must be a number"))
	}
	if target["all"] != nil {
		problems = append(problems, errors.New("cannot be"))
	}
	return errors.Join(problems...)
}

// make1 constructs stubs and keeps the last.
func make1(kept *stub, err error) map[string]ConnectorType {
	return map[string]ConnectorType{
		"stub": func(b Block) (connectors.Connector, error) {
			if e := b.Decode(&kept.settings); e != nil {
				return nil, fmt.Errorf("stub: %w", e)
			}
			return kept, err
		},
		"other": func(Block) (connectors.Connector, error) { return nil, errors.New("unused") },
	}
}

const connected = `people: [{id: ana}]
connectors:
  one:
    type: stub
    dsn: ${PG_DSN}
    url: https://x
    timeout: 5s
    max_conns: ${NUMBER}
    headers: {a: b}
    tags: [x, y]
    nested: {strict: true}
    ratio: 0.5
    other_name: z
roles:
  - {id: a, connector: one, target: {role: x}}
policies:
  - {name: all, match: "true", eligible: "true", duration: {max: 4m}, auto_approve: true}
`

func connect(t *testing.T, text string, types map[string]ConnectorType) (map[string]connectors.Connector, string) {
	t.Helper()
	c, found := Parse("f.yaml", []byte(text), env, "web")
	if found.Fatal() {
		t.Fatal(found)
	}
	made, found := c.Connect(types)
	return made, found.Error()
}

func TestConnectorsAreMadeFromTheirBlocks(t *testing.T) {
	t.Parallel()
	var s stub
	made, said := connect(t, connected, make1(&s, nil))
	if said != "" || made["one"] != connectors.Connector(&s) {
		t.Fatalf("%v, %s", made, said)
	}
	if s.DSN.Reveal() != environment["PG_DSN"] || s.URL != "https://x" || s.Timeout != 5*time.Second || s.MaxConns != 3 || s.Headers["a"] != "b" ||
		strings.Join(s.Tags, "") != "xy" || !s.Nested.Strict || s.Ratio != 0.5 || s.Renamed != "z" || s.private != "" || s.Hidden != "" {
		t.Errorf("%+v", s.settings)
	}
}

func TestConnectorProblemsStandOnTheirLines(t *testing.T) {
	t.Parallel()
	const url = "    url: https://x\n"
	for name, c := range map[string]struct {
		old, new string
		err      error
		least    time.Duration
		want     string
	}{
		"unknown type":        {"type: stub", "type: sub", nil, 0, `f.yaml:4: connectors.one.type: is "sub", and there is no such type of connector; there are: other, stub`},
		"unknown key":         {"url:", "uri:", nil, 0, "f.yaml:6: connectors.one.uri: is not a key that belongs here; these do: dsn, url, timeout, max_conns, headers, tags, nested, ratio, other_name"},
		"unknown nested key":  {"strict", "strikt", nil, 0, "f.yaml:11: connectors.one.nested.strikt: is not a key that belongs here; these do: strict"},
		"wrong value":         {"timeout: 5s", "timeout: soon", nil, 0, `f.yaml:7: connectors.one.timeout: is "soon": write hours, minutes and seconds, such as 4h, 1h30m or 45s`},
		"hidden value":        {"timeout: 5s", "timeout: ${CANARY}", nil, 0, `f.yaml:7: connectors.one.timeout: is "${CANARY}": write hours, minutes and seconds, such as 4h, 1h30m or 45s`},
		"program's field":     {url, "    logger: {}\n", nil, 0, "f.yaml:6: connectors.one.logger: is not a key that belongs here; these do: dsn, url, timeout, max_conns, headers, tags, nested, ratio, other_name"},
		"value with a key":    {"", "", errors.New("url: must begin with https://"), 0, "f.yaml:6: connectors.one.url: must begin with https://"},
		"value in a list":     {"", "", errors.New("tags[1]: is no tag"), 0, "f.yaml:10: connectors.one.tags[1]: is no tag"},
		"several values":      {"", "", errors.Join(errors.New("url: a"), errors.New("stub: dsn: b")), 0, "f.yaml:5: connectors.one.dsn: b\nf.yaml:6: connectors.one.url: a"},
		"missing value":       {url, "", errors.New("url: is missing"), 0, "f.yaml:3: connectors.one.url: is missing"},
		"value without a key": {"", "", errors.New("x509: cannot be"), 0, "f.yaml:3: connectors.one: x509: cannot be"},
		"secret in an error":  {"", "", errors.New("dsn: cannot parse " + environment["PG_DSN"]), 0, "f.yaml:5: connectors.one.dsn: cannot parse ${PG_DSN}"},
		"target":              {"{role: x}", "{port: x}", nil, 0, "f.yaml:15: roles[0].target.role: is missing\nf.yaml:15: roles[0].target.port: must be a number"},
		"no target":           {", target: {role: x}", "", nil, 0, "f.yaml:15: roles[0].target.role: is missing"},
		"target as a whole":   {"role: x", "role: x, all: 1", nil, 0, "f.yaml:15: roles[0].target: cannot be"},
		"shortest too long":   {"", "", nil, 5 * time.Minute, `f.yaml:15: roles[0]: can be had for 4m0s at most by policy "all", and connector one gives it for 5m0s at least`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stub{least: c.least}
			if _, said := connect(t, strings.Replace(connected, c.old, c.new, 1), make1(&s, c.err)); said != c.want {
				t.Errorf("said\n%s\nwant\n%s", said, c.want)
			}
		})
	}
}

func TestConnectWorksOnFilesWithOtherProblems(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "a: [", "x: 1", "connectors: 1", "connectors: {a: 1, b: {type: [stub]}, c: {type: none}}", "roles: [{connector: one}]\n" + strings.ReplaceAll(connected, "roles:", "rolls:")} {
		c, found := Parse("f.yaml", []byte(text), env)
		if !found.Fatal() {
			t.Fatalf("%q has no problems", text)
		}
		_, more := c.Connect(make1(&stub{}, nil))
		found = append(found, more...)
		found.Sort()
		if strings.Contains(text, "none") && !strings.Contains(found.Error(), `is "none", and there is no such type`) {
			t.Errorf("%q: %v", text, found)
		}
	}
}

func TestAnUnsetVariableIsReportedOnce(t *testing.T) {
	t.Parallel()
	for old, err := range map[string]error{"${PG_DSN}": errors.New("dsn: is no connection string"), "${NUMBER}": nil} {
		c, found := Parse("f.yaml", []byte(strings.Replace(connected, old, "${UNSET}", 1)), env, "web")
		_, more := c.Connect(make1(&stub{}, err))
		if len(found) != 1 || len(more) > 0 {
			t.Errorf("%s: said\n%v\nand then\n%v", old, found, more)
		}
	}
}
