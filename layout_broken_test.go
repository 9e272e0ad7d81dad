package elevate_test

import (
	"slices"
	"strings"
	"testing"
)

// The checks of the layout are tried on repositories that they must refuse.

func TestChecksRefuseBrokenPackages(t *testing.T) {
	t.Parallel()
	pkg := func(name string, imports ...string) listed {
		return listed{ImportPath: module + name, Doc: "Package x is.", GoFiles: []string{"x.go"}, Imports: imports}
	}
	for _, tt := range []struct {
		pkg  listed
		want string // "" : nothing is wrong
	}{
		{pkg("workflows/access", "time"), ""},
		{pkg("workflows/access", "elevate/workflows"), "workflows/access may not import workflows"},
		{pkg("workflows/access", "golang.org/x/text/unicode/norm"), "workflows/access may not import golang.org/x/text/unicode/norm"},
		{pkg("workflows/audit", "elevate/workflows"), "workflows/audit may not import workflows"},
		{pkg("workflows/audit", "github.com/redis/go-redis/v9"), "workflows/audit may not import github.com/redis/go-redis/v9"},
		{pkg("workflows/policy", "cel.dev/cel-go/cel", "elevate/workflows/access"), ""},
		{pkg("workflows/policy", "elevate/connectors"), "workflows/policy may not import connectors"},
		{pkg("workflows", "elevate/connectors", "golang.org/x/sync/errgroup"), ""},
		{pkg("workflows", "elevate/connectors/postgres"), "workflows may not import connectors/postgres"},
		{pkg("workflows", "elevate/storage/redis"), "workflows may not import storage/redis"},
		{pkg("workflows", "example.com/anything"), "workflows may not import example.com/anything"},
		{pkg("connectors", "elevate/workflows"), "connectors may not import workflows"},
		{pkg("connectors/postgres", "elevate/connectors", "github.com/jackc/pgx/v5"), ""},
		{pkg("connectors/postgres", "elevate/connectors/postgres/quote"), ""},
		{pkg("connectors/postgres", "elevate/connectors/demo"), "connectors/postgres may not import connectors/demo"},
		{pkg("connectors/webhook", "github.com/jackc/pgx/v5"), "connectors/webhook may not import github.com/jackc/pgx/v5"},
		{pkg("connectors/webhook", "elevate/connectors/connectortest"), "connectors/webhook may not import connectors/connectortest"},
		{pkg("connectors/connectortest", "elevate/connectors", "go.uber.org/goleak"), ""},
		{pkg("connectors/connectortest", "elevate/cmd/elevate"), "connectors/connectortest may not import cmd/elevate"},
		{pkg("storage/redis", "elevate/workflows", "github.com/redis/go-redis/v9"), ""},
		{pkg("storage/redis", "elevate/bot"), "storage/redis may not import bot"},
		{pkg("bot", "elevate/workflows/audit", "elevate/connectors"), ""},
		{pkg("bot", "elevate/bot/slack"), "bot may not import bot/slack"},
		{pkg("bot", "github.com/slack-go/slack"), "bot may not import github.com/slack-go/slack"},
		{pkg("bot/slack", "elevate/bot", "elevate/workflows", "github.com/slack-go/slack"), ""},
		{pkg("bot/teams", "elevate/bot/slack"), "bot/teams may not import bot/slack"},
		{pkg("bot/web", "elevate/workflows/audit"), "bot/web may not import workflows/audit"},
		{pkg("cmd/elevate", "elevate/connectors/entra", "elevate/bot/slack"), ""},
		{pkg("cmd/elevate", "github.com/microsoftgraph/msgraph-sdk-go"), "cmd/elevate may not import github.com/microsoftgraph/msgraph-sdk-go"},
		{pkg("cmd/playground", "elevate/connectors/entra"), "cmd/playground must compile without connectors/entra"},
		{pkg("bot/common", "time"), "bot/common: name the package after what it is"},
		{pkg("sideline", "elevate/bot"), "sideline has no place in the layout: say in directions what it may import"},
		{listed{ImportPath: module + "bot", GoFiles: []string{"x.go"}}, "bot: no package comment"},
	} {
		var want []string
		if tt.want != "" {
			want = []string{tt.want}
		}
		if got := checkPackages([]listed{tt.pkg}); !slices.Equal(got, want) {
			t.Errorf("%s importing %v: got %q; want %q", tt.pkg.ImportPath, tt.pkg.Imports, got, want)
		}
	}
}

func TestChecksRefuseWhatIsReachedThroughOthers(t *testing.T) {
	t.Parallel()
	got := checkWeight(map[string][]string{"cmd/playground": {"cmd/internal/wiring"}, "cmd/internal/wiring": {"connectors/aws", "cmd/playground"}})
	if !slices.Equal(got, []string{"cmd/playground must compile without connectors/aws"}) {
		t.Errorf("got %q", got)
	}
}

func TestChecksRefuseWhateverElseNeedsTheGraphSDK(t *testing.T) {
	t.Parallel()
	pkg := func(name string, imports, tests []string) listed {
		return listed{ImportPath: module + name, Imports: imports, XTestImports: tests}
	}
	got := checkSDK([]listed{
		pkg("connectors/entra", []string{"github.com/microsoftgraph/msgraph-sdk-go/models"}, []string{"elevate/connectors/entra"}),
		pkg("cmd/elevate", []string{"elevate/connectors/entra"}, nil),
		pkg("bot", []string{"elevate/bot/loop"}, nil),
		pkg("bot/loop", []string{"elevate/bot", "elevate/workflows"}, nil),
		pkg("workflows", []string{"fmt"}, []string{"elevate/connectors/entra"}),
		pkg("cmd/bench", []string{"elevate/cmd/wiring"}, nil),
		pkg("cmd/wiring", []string{"elevate/connectors/entra"}, nil),
	})
	want := []string{"workflows needs the Graph SDK by elevate/connectors/entra", "cmd/bench needs the Graph SDK by elevate/cmd/wiring",
		"cmd/wiring needs the Graph SDK by elevate/connectors/entra"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestChecksRefuseBrokenSources(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, source, want string
	}{
		{"a.go", "package a\n", ""},
		{"a.go", "package a\n\nfunc init() {}\n", "a.go: func init(): nothing registers itself"},
		{"a.go", "package a\n\ntype t struct{}\n\nfunc (t) init() {}\n", ""},
		{"a_test.go", "package a\n\nfunc init() {}\n", ""},
		{"a.go", "package a\n\n// TODO: more\n", "a.go: TODO: finish it, or open an issue"},
		{"a_test.go", "package a\n\n// FIXME\n", "a_test.go: FIXME: finish it, or open an issue"},
		{"a.go", "package a\n" + strings.Repeat("\n", maxLines), "a.go: 501 lines: split it at 500"},
		{"a_test.go", "package a\n" + strings.Repeat("\n", maxLines), ""},
		{"a.go", "no Go", "a.go:1:1: expected 'package', found no"},
	} {
		got := strings.Join(checkSource(tt.name, []byte(tt.source)), "; ")
		if got != tt.want {
			t.Errorf("%s %.40q: got %q; want %q", tt.name, tt.source, got, tt.want)
		}
	}
}

func TestChecksRefuseStrangersInTheTopFolder(t *testing.T) {
	t.Parallel()
	got := checkTop([]string{"bot", "go.mod", ".github", "notes.txt", "pkg"})
	if len(got) != 2 || !strings.HasPrefix(got[0], "notes.txt:") || !strings.HasPrefix(got[1], "pkg:") {
		t.Errorf("got %q", got)
	}
}
