// Package elevate_test holds the shape of the repository: which package may import which, and how the code is laid out.
package elevate_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "elevate/"

// direction says what the packages that a pattern matches may import of ours. Patterns are those of path.Match, and
// "/..." at the end stands for the package and everything below it. The first that matches a package governs it.
type direction struct {
	pkg string
	may []string
}

func directions() []direction {
	return []direction{
		{"workflows/access", nil},
		{"workflows/policy", []string{"workflows/access"}},
		{"workflows/audit", []string{"workflows/access"}},
		{"workflows/directory", []string{"workflows/access", "workflows/policy"}},
		{"workflows/seal", []string{"workflows/access"}},
		{"workflows/passkey", []string{"workflows/access"}},
		{"workflows/factor", []string{"workflows/access", "workflows/audit", "workflows/passkey", "workflows/seal"}},
		{"workflows", []string{"workflows/access", "workflows/policy", "workflows/audit", "connectors"}},
		{"connectors", []string{"workflows/access"}},
		{"connectors/*/...", []string{"connectors", "workflows/access"}},
		{"storage/redis", []string{"workflows", "workflows/access", "workflows/audit", "workflows/factor"}},
		{"storage/redis/measure", []string{"connectors", "storage/redis", "workflows/..."}},
		{"storage/embedded", []string{"storage/redis", "workflows", "workflows/access", "workflows/audit"}},
		{"bot", []string{"connectors", "workflows/..."}},
		{"bot/enrol", []string{"bot", "bot/page", "workflows/access", "workflows/factor"}},
		{"bot/vouch", []string{"bot", "bot/page", "workflows/access", "workflows/factor"}},
		{"bot/api", []string{"bot", "connectors", "workflows/..."}},
		{"bot/page", nil},
		{"bot/signin", []string{"bot/page", "workflows", "workflows/access", "workflows/seal"}},
		{"bot/linking", []string{"bot", "bot/page", "bot/signin", "workflows", "workflows/access"}},
		{"bot/*", []string{"bot", "workflows", "workflows/access"}},
		{"cmd/...", []string{"..."}},
	}
}

// kit tells whether a package is for tests. Those may use everything but the programs, and no program may use them.
func kit(pkg string) bool {
	for part := range strings.SplitSeq(pkg, "/") {
		if strings.HasSuffix(part, "test") || strings.HasSuffix(part, "fake") {
			return true
		}
	}
	return false
}

// homes are the packages that alone may import a library, so that it can be replaced in one place. The packages below
// workflows import no library that is not listed here, beside golang.org/x.
func homes() map[string][]string {
	return map[string][]string{
		"cel.dev/cel-go":                {"workflows/policy"},
		"github.com/pquerna/otp":        {"workflows/factor"},
		"github.com/go-webauthn":        {"workflows/passkey"},
		"github.com/descope":            {},
		"github.com/slack-go/slack":     {"bot/slack"},
		"github.com/infracloudio":       {"bot/teams"},
		"github.com/golang-jwt":         {"bot/teams"},
		"github.com/coreos/go-oidc":     {"bot/signin"},
		"github.com/redis/go-redis":     {"storage/..."},
		"github.com/alicebob/miniredis": {"storage/embedded"},
		"github.com/jackc/pgx":          {"connectors/postgres"},
		"github.com/go-ldap":            {"connectors/activedirectory"},
		"github.com/go-asn1-ber":        {},
		"github.com/microsoftgraph":     {"connectors/entra"},
		"github.com/Azure":              {"connectors/entra", "connectors/azure"},
		"github.com/aws":                {"connectors/aws"},
		"k8s.io":                        {"connectors/kubernetes"},
		"github.com/spf13/cobra":        {"cmd/..."},
		"go.yaml.in/yaml":               {"cmd/..."},
		"github.com/prometheus":         {"cmd/..."},
		"github.com/standard-webhooks":  {"connectors/webhook"},
		"github.com/getkin/kin-openapi": {},
		"github.com/dlclark/regexp2":    {},
		"github.com/chromedp":           {},
		"github.com/santhosh-tekuri":    {},
		"pgregory.net/rapid":            {},
		"go.uber.org/goleak":            {},
		"github.com/microsoft":          {"connectors/entra"},
	}
}

// heavy are the connectors that the playground must compile without.
func heavy() []string {
	return []string{"connectors/entra", "connectors/azure", "connectors/aws", "connectors/kubernetes"}
}

func matches(pattern, pkg string) bool {
	if pattern == "..." {
		return true
	}
	if below, ok := strings.CutSuffix(pattern, "/..."); ok {
		for p := pkg; p != "."; p = path.Dir(p) {
			if matches(below, p) {
				return true
			}
		}
		return false
	}
	ok, err := path.Match(pattern, pkg)
	return err == nil && ok
}

func matchesAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, pkg) })
}

// listed is what go list tells of a package.
type listed struct {
	ImportPath string
	Name       string
	Doc        string
	GoFiles    []string
	Imports    []string

	TestImports, XTestImports []string
}

// checkPackages gives every import that goes the wrong way, and packages that are not what their place says.
func checkPackages(pkgs []listed) []string {
	var faults []string
	imports := map[string][]string{}
	for _, p := range pkgs {
		name := strings.TrimPrefix(p.ImportPath, module)
		if len(p.GoFiles) == 0 {
			continue // tests alone
		}
		if slices.Contains([]string{"util", "utils", "common", "helpers", "types", "models"}, path.Base(name)) {
			faults = append(faults, name+": name the package after what it is")
		}
		if p.Doc == "" {
			faults = append(faults, name+": no package comment")
		}
		for _, i := range p.Imports {
			if ours, ok := strings.CutPrefix(i, module); ok {
				imports[name] = append(imports[name], ours)
				faults = append(faults, checkOurs(name, ours)...)
			} else if strings.Contains(strings.Split(i, "/")[0], ".") {
				faults = append(faults, checkLibrary(name, i)...)
			}
		}
	}
	return append(faults, checkWeight(imports)...)
}

func checkOurs(pkg, imported string) []string {
	fault := []string{pkg + " may not import " + imported}
	if kit(pkg) {
		if strings.HasPrefix(imported, "cmd/") {
			return fault
		}
		return nil
	}
	if kit(imported) {
		return fault
	}
	if strings.HasPrefix(imported, pkg+"/") && strings.HasPrefix(pkg, "connectors/") {
		return nil // a connector's own parts
	}
	for _, d := range directions() {
		if matches(d.pkg, pkg) {
			if matchesAny(d.may, imported) {
				return nil
			}
			return fault
		}
	}
	return []string{pkg + " has no place in the layout: say in directions what it may import"}
}

func checkLibrary(pkg, lib string) []string {
	if kit(pkg) || strings.HasPrefix(lib, "golang.org/x/") && pkg != "workflows/access" {
		return nil
	}
	for prefix, home := range homes() {
		if lib != prefix && !strings.HasPrefix(lib, prefix+"/") {
			continue
		}
		if matchesAny(home, pkg) {
			return nil
		}
		return []string{pkg + " may not import " + lib}
	}
	if matches("workflows/...", pkg) {
		return []string{pkg + " may not import " + lib}
	}
	return nil
}

// checkWeight gives the heavy connectors that the playground reaches.
func checkWeight(imports map[string][]string) []string {
	var faults []string
	seen := map[string]bool{}
	var reach func(pkg string)
	reach = func(pkg string) {
		if seen[pkg] {
			return
		}
		seen[pkg] = true
		if matchesAny(heavy(), pkg) {
			faults = append(faults, "cmd/playground must compile without "+pkg)
		}
		for _, i := range imports[pkg] {
			reach(i)
		}
	}
	reach("cmd/playground")
	return faults
}

// sdk is the connector that Microsoft's Graph SDK comes with. Compiling that takes minutes and gigabytes, so nothing but
// the program that serves needs it, tests included.
const sdk = "connectors/entra"

// checkSDK gives the packages that depend on the Graph SDK and should not.
func checkSDK(pkgs []listed) []string {
	imports := map[string][]string{}
	for _, p := range pkgs {
		imports[strings.TrimPrefix(p.ImportPath, module)] = p.Imports
	}
	seen := map[string]bool{}
	var needs func(pkg string) bool
	needs = func(pkg string) bool {
		if pkg == sdk || strings.HasPrefix(pkg, "github.com/microsoftgraph/") {
			return true
		}
		if done, ok := seen[pkg]; ok {
			return done
		}
		seen[pkg] = false
		for _, i := range imports[pkg] {
			seen[pkg] = needs(strings.TrimPrefix(i, module)) || seen[pkg]
		}
		return seen[pkg]
	}
	var faults []string
	for _, p := range pkgs {
		name := strings.TrimPrefix(p.ImportPath, module)
		if matchesAny([]string{sdk, "cmd/elevate"}, name) {
			continue
		}
		for _, i := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if needs(strings.TrimPrefix(i, module)) {
				faults = append(faults, fmt.Sprintf("%s needs the Graph SDK by %s", name, i))
			}
		}
	}
	return faults
}

const maxLines = 500

var unfinished = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`)

// checkSource gives what is wrong with a Go file.
func checkSource(name string, source []byte) []string {
	var faults []string
	if m := unfinished.Find(source); m != nil && name != "layout_test.go" && name != "layout_broken_test.go" {
		faults = append(faults, fmt.Sprintf("%s: %s: finish it, or open an issue", name, m))
	}
	if strings.HasSuffix(name, "_test.go") {
		return faults
	}
	if n := bytes.Count(source, []byte("\n")); n > maxLines {
		faults = append(faults, fmt.Sprintf("%s: %d lines: split it at %d", name, n, maxLines))
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
	if err != nil {
		return append(faults, err.Error())
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			faults = append(faults, name+": func init(): nothing registers itself")
		}
	}
	return faults
}

// checkTop gives the entries of the repository's folder that do not belong there.
func checkTop(entries []string) []string {
	allowed := []string{
		"bot", "cmd", "connectors", "docs", "manifests", "storage", "workflows",
		"go.mod", "go.sum", "layout_test.go", "layout_broken_test.go",
		"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "Makefile", "Dockerfile",
		"audit", "data", "dist", "elevate", "elevate.yaml", // left by running the program here; git ignores them
	}
	var faults []string
	for _, e := range entries {
		if !strings.HasPrefix(e, ".") && !slices.Contains(allowed, e) {
			faults = append(faults, e+": does not belong into the top folder")
		}
	}
	return faults
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Name,Doc,GoFiles,Imports,TestImports,XTestImports", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var pkgs []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

func report(t *testing.T, faults []string) {
	t.Helper()
	for _, f := range faults {
		t.Error(f)
	}
}

func TestImportsGoOneWay(t *testing.T) {
	t.Parallel()
	pkgs := list(t)
	if len(pkgs) < 10 {
		t.Fatalf("go list tells of %d packages only", len(pkgs))
	}
	report(t, checkPackages(pkgs))
	report(t, checkSDK(pkgs))
}

func TestSourcesAreFinishedAndShort(t *testing.T) {
	t.Parallel()
	files := 0
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		files++
		report(t, checkSource(filepath.ToSlash(name), source))
		return nil
	})
	if err != nil || files < 50 {
		t.Errorf("read %d files: %v", files, err)
	}
}

func TestTopFolderHoldsOnlyWhatBelongs(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	report(t, checkTop(names))
}
