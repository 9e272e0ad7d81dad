package attack_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// cut is a piece of the source by which a defence is taken out. In what stands there now, OUT is the condition that the
// attack's defence is out, and OR(a, b) is a, or b where it is out. A piece of Lua is replaced where the defence is out,
// and needs neither.
type cut struct {
	file     string // from the root of the repository
	was, now string
}

// outVariable names, to the build without defences, the attack whose defence is out.
const outVariable = "ELEVATE_ATTACK_OUT"

// switches is the package that the build without defences has beside the others.
const switches = `// Package switched takes defences out, one at a time.
package switched

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
)

var out = os.Getenv("` + outVariable + `")

// Out tells whether the defence against one of the attacks is out; they have blanks between them.
func Out(attacks string) bool { return slices.Contains(strings.Fields(attacks), out) }

// Or is the first of two, or the second where the defence is out.
func Or[T any](attacks string, is, instead T) T {
	if Out(attacks) {
		return instead
	}
	return is
}

// Raw writes line breaks as they are, where JSON has them escaped.
type Raw struct{ io.Writer }

func (r Raw) Write(p []byte) (int, error) {
	if _, err := r.Writer.Write(bytes.ReplaceAll(p, []byte("\\n"), []byte("\n"))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Unproved seals like AES-GCM, and proves nothing of what it opens.
type Unproved struct{ cipher.Block }

const nonce, tag = 12, 16

func (Unproved) NonceSize() int { return 0 }

func (Unproved) Overhead() int { return nonce + tag }

func (u Unproved) Seal(_, _, text, _ []byte) []byte {
	box := make([]byte, nonce+len(text)+tag)
	_, _ = rand.Read(box[:nonce])
	u.stream(box[:nonce]).XORKeyStream(box[nonce:], text)
	return box
}

func (u Unproved) Open(_, _, box, _ []byte) ([]byte, error) {
	if len(box) < nonce+tag {
		return nil, errors.New("too short")
	}
	text := make([]byte, len(box)-nonce-tag)
	u.stream(box[:nonce]).XORKeyStream(text, box[nonce:len(box)-tag])
	return text, nil
}

func (u Unproved) stream(nonce []byte) cipher.Stream {
	return cipher.NewCTR(u.Block, append(append([]byte{}, nonce...), 0, 0, 0, 2))
}

// Lua is the text of a script, without the defence that is out.
func Lua(text string) string {
	for _, c := range lua[out] {
		text = strings.Replace(text, c[0], c[1], 1)
	}
	return text
}

var lua = map[string][][2]string%s
`

// luaRead is where scripts are read.
var luaRead = cut{"storage/redis/scripts.go", `".lua")] = string(body)`, `".lua")] = switched.Lua(string(body))`}

// weak is the folder of the build without defences; empty if no attack needed it.
var weak string

// weakened gives the path of the binary in which each defence can be switched off.
func weakened(t testing.TB) string {
	t.Helper()
	path, err := weaken()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var weaken = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "elevate-attack-")
	if err != nil {
		return "", err
	}
	weak = dir
	root, err := repository()
	if err != nil {
		return "", err
	}
	overlay, err := overlaid(root, dir, attacks())
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "elevate")
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-overlay", overlay, "-o", path, "elevate/cmd/elevate")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build without the defences: %w: %s", err, out)
	}
	return path, nil
})

func repository() (string, error) {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(mod))), nil
}

// overlaid makes every cut in copies of the files, and gives the path of the file that go build reads of them. A cut that
// several attacks have is made once.
func overlaid(root, dir string, all []attack) (string, error) {
	source := map[string]string{} // by file, as it is by now
	whose := map[cut][]string{luaRead: nil}
	cuts := []cut{luaRead}
	for _, a := range all {
		for _, c := range a.without {
			if _, known := whose[c]; !known {
				cuts = append(cuts, c)
			}
			whose[c] = append(whose[c], a.id)
		}
	}
	lua := map[string][][2]string{}
	var problems []error
	for _, c := range cuts {
		if source[c.file] == "" {
			text, err := os.ReadFile(filepath.Join(root, c.file))
			if err != nil {
				return "", fmt.Errorf("%s: %w", whose[c], err)
			}
			source[c.file] = string(text)
		}
		if n := strings.Count(source[c.file], c.was); n != 1 {
			problems = append(problems, fmt.Errorf("%s: what is cut out of %s stands there %d times: the source has changed, or another cut has taken it:\n%s", whose[c], c.file, n, c.was))
		}
		if strings.HasSuffix(c.file, ".lua") {
			for _, id := range whose[c] {
				lua[id] = append(lua[id], [2]string{c.was, c.now})
			}
			continue
		}
		ids := strings.Join(whose[c], " ")
		now := strings.NewReplacer("OUT", fmt.Sprintf("switched.Out(%q)", ids), "OR(", fmt.Sprintf("switched.Or(%q, ", ids)).Replace(c.now)
		source[c.file] = strings.Replace(source[c.file], c.was, now, 1)
	}
	if len(problems) > 0 {
		return "", errors.Join(problems...)
	}
	replace := map[string]string{}
	put := func(file, text string) error {
		here := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		replace[filepath.Join(root, file)] = here
		return os.WriteFile(here, []byte(text), 0o600)
	}
	if err := put("switched/switched.go", fmt.Sprintf(switches, strings.TrimPrefix(fmt.Sprintf("%#v", lua), "map[string][][2]string"))); err != nil {
		return "", err
	}
	for file, text := range source {
		if !strings.HasSuffix(file, ".go") {
			continue
		}
		text, err := importing(text)
		if err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
		if err := put(file, text); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o600)
}

// importing adds the import of the switches to a file.
func importing(text string) (string, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", text, parser.PackageClauseOnly)
	if err != nil {
		return "", err
	}
	end := set.Position(file.Name.End()).Offset
	return text[:end] + "\n\nimport \"elevate/switched\"\n" + text[end:], nil
}
