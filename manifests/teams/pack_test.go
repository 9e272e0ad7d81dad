package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dlclark/regexp2"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"elevate/bot"
	"elevate/bot/teams/teamsfake"
	"elevate/workflows/access"
)

func sample() app {
	return app{id: "0f6e2d4c-8a1b-4c3d-9e5f-a1b2c3d4e5f6", domain: "elevate.example.com"}.complete()
}

// lookAround is the schemas' regular expressions: one looks ahead, which Go's own cannot.
type lookAround regexp2.Regexp

func (l *lookAround) MatchString(s string) bool {
	ok, err := (*regexp2.Regexp)(l).MatchString(s)
	return err == nil && ok
}

func (l *lookAround) String() string { return (*regexp2.Regexp)(l).String() }

// schema is Microsoft's, of a version.
func schema(t *testing.T, version string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.UseRegexpEngine(func(pattern string) (jsonschema.Regexp, error) {
		re, err := regexp2.Compile(pattern, regexp2.ECMAScript)
		return (*lookAround)(re), err
	})
	s, err := c.Compile(teamsfake.Testdata(t, "manifest", "MicrosoftTeams.schema.v"+version+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// written is a manifest as JSON and taken apart.
func written(t *testing.T, a app, e edition) (raw []byte, doc map[string]any) {
	t.Helper()
	raw, err := manifest(a, e)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	return raw, doc
}

// TestManifestsAreValid by the schemas that Microsoft publishes for them, which hold the limits of every text.
func TestManifestsAreValid(t *testing.T) {
	t.Parallel()
	long := sample()
	long.name = strings.Repeat("Ä", 30)
	for _, e := range editions() {
		s := schema(t, e.schema)
		for _, a := range []app{sample(), long} {
			if err := a.check(); err != nil {
				t.Error(err)
			}
			raw, doc := written(t, a, e)
			if err := s.Validate(doc); err != nil {
				t.Errorf("%s, %s: %v", e.schema, a.name, err)
			}
			// The schemas' own test of the version is of a later draft of JSON Schema than they say they are.
			if doc["manifestVersion"] != e.schema {
				t.Errorf("%s says that it is for %v", e.schema, doc["manifestVersion"])
			}
			if doc["$schema"] != "https://developer.microsoft.com/json-schemas/teams/v"+e.schema+"/MicrosoftTeams.schema.json" {
				t.Errorf("%s names the schema %v", e.schema, doc["$schema"])
			}
			if bytes.Contains(raw, []byte("${")) {
				t.Errorf("%s: something is not filled in: %s", e.schema, raw)
			}
		}
		for right, wrong := range map[string]string{`"commandLists"`: `"commandlists"`, `"Elevate"`: `"` + strings.Repeat("E", 31) + `"`} {
			raw, _ := written(t, sample(), e)
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(bytes.Replace(raw, []byte(right), []byte(wrong), -1)))
			if err != nil {
				t.Fatal(err)
			}
			if s.Validate(doc) == nil {
				t.Errorf("%s: the schema misses %s", e.schema, wrong)
			}
		}
	}
}

// refused is what a schema says about keys that it does not know, and what else is wrong.
func refused(err error) (unknown, other []string) {
	var v *jsonschema.ValidationError
	if !errors.As(err, &v) {
		return nil, nil
	}
	var walk func(v *jsonschema.ValidationError)
	walk = func(v *jsonschema.ValidationError) {
		if k, ok := v.ErrorKind.(*kind.AdditionalProperties); ok {
			unknown = append(unknown, k.Properties...)
		} else if len(v.Causes) == 0 {
			other = append(other, strings.Join(v.InstanceLocation, "/"))
		}
		for _, c := range v.Causes {
			walk(c)
		}
	}
	walk(v)
	slices.Sort(unknown)
	return unknown, other
}

// TestOlderManifestLacksOnlyWhatItsSchemaRefuses, and differs in nothing else.
func TestOlderManifestLacksOnlyWhatItsSchemaRefuses(t *testing.T) {
	t.Parallel()
	newer, older := editions()[0], editions()[1]
	_, doc := written(t, sample(), newer)
	unknown, other := refused(schema(t, older.schema).Validate(doc))
	if !slices.Equal(unknown, older.unknown) || len(other) > 0 {
		t.Errorf("the %s schema refuses %v and %v of the %s manifest, taken out are %v", older.schema, unknown, other, newer.schema, older.unknown)
	}
	newer.schema, newer.unknown = older.schema, older.unknown
	want, _ := written(t, sample(), newer)
	got, _ := written(t, sample(), older)
	if !bytes.Equal(got, want) {
		t.Errorf("the older manifest is\n%s\nnot\n%s", got, want)
	}
}

// bots is what the test reads of a manifest.
type bots struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	Name    struct {
		Short string `json:"short"`
	} `json:"name"`
	Domains []string `json:"validDomains"`
	Bots    []struct {
		ID       string   `json:"botId"`
		Scopes   []string `json:"scopes"`
		Targeted bool     `json:"supportsTargetedMessages"`
		Lists    []struct {
			Scopes   []string `json:"scopes"`
			Triggers []string `json:"triggers"`
			Commands []struct {
				Title       string `json:"title"`
				Description string `json:"description"`
			} `json:"commands"`
		} `json:"commandLists"`
	} `json:"bots"`
}

func read(t *testing.T, a app, e edition) bots {
	t.Helper()
	raw, _ := written(t, a, e)
	var b bots
	if err := json.Unmarshal(raw, &b); err != nil {
		t.Fatal(err)
	}
	if len(b.Bots) != 1 || len(b.Bots[0].Lists) != 1 {
		t.Fatalf("%s has not one bot with one list of commands: %s", e.schema, raw)
	}
	return b
}

func TestManifestIsForOneInstallation(t *testing.T) {
	t.Parallel()
	a := app{id: " 0F6E2D4C-8A1B-4C3D-9E5F-A1B2C3D4E5F6\n", domain: "Access.Example.ORG", name: `R&D "Elevate"`, version: "2.10.0"}.complete()
	for _, e := range editions() {
		b := read(t, a, e)
		if b.ID != sample().id || b.Bots[0].ID != b.ID || b.Version != "2.10.0" || b.Name.Short != `R&D "Elevate"` || !slices.Equal(b.Domains, []string{"access.example.org"}) {
			t.Errorf("%s: %+v", e.schema, b)
		}
	}
}

func TestSlashCommandsAreOfferedWhereTheSchemaHasThem(t *testing.T) {
	t.Parallel()
	everywhere := []string{"personal", "team", "groupChat"}
	for i, want := range []struct {
		targeted bool
		triggers []string
	}{{true, []string{"slash", "mention"}}, {false, nil}} {
		b := read(t, sample(), editions()[i]).Bots[0]
		if b.Targeted != want.targeted || !slices.Equal(b.Lists[0].Triggers, want.triggers) {
			t.Errorf("%s: targeted %v, triggers %v", editions()[i].schema, b.Targeted, b.Lists[0].Triggers)
		}
		if !slices.Equal(b.Scopes, everywhere) || !slices.Equal(b.Lists[0].Scopes, everywhere) {
			t.Errorf("%s: scopes %v, of the commands %v", editions()[i].schema, b.Scopes, b.Lists[0].Scopes)
		}
	}
}

// TestCommandsAreThoseOfTheHelp: what the manifest offers is what help lists, in its order, and what a command begins with.
func TestCommandsAreThoseOfTheHelp(t *testing.T) {
	t.Parallel()
	help, err := os.ReadFile(filepath.Join("..", "..", "bot", "testdata", "help.golden"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile("- `/(elevate)(?: ([a-z]+)| ROLE)?").FindAllStringSubmatch(string(help), -1) {
		word := m[1]
		if m[2] != "" {
			word = m[2]
		}
		want = append(want, word)
	}
	want = slices.Compact(want) // elevate alone, and with a role after it
	for _, e := range editions() {
		var got []string
		for _, c := range read(t, sample(), e).Bots[0].Lists[0].Commands {
			got = append(got, c.Title)
			if !bot.Reserved(access.RoleID(c.Title)) {
				t.Errorf("%q would be taken for a role", c.Title)
			}
			if c.Description == "" {
				t.Errorf("%s does not say what it does", c.Title)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s offers %v, help %v", e.schema, got, want)
		}
	}
}

func unzip(t *testing.T, zipped []byte) (names []string, files map[string][]byte) {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(zipped), int64(len(zipped)))
	if err != nil {
		t.Fatal(err)
	}
	files = map[string][]byte{}
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(in); err != nil {
			t.Fatal(err)
		}
		if !f.Modified.Equal(epoch) {
			t.Errorf("%s is dated %v: the same app would have other bytes later", f.Name, f.Modified)
		}
		names = append(names, f.Name)
	}
	return names, files
}

func TestPackageHoldsThreeFilesAtItsRoot(t *testing.T) {
	t.Parallel()
	for _, e := range editions() {
		zipped, err := pack(sample(), e)
		if err != nil {
			t.Fatal(err)
		}
		names, files := unzip(t, zipped)
		if !slices.Equal(names, []string{"manifest.json", "color.png", "outline.png"}) {
			t.Errorf("%s holds %v", e.file, names)
		}
		if want, _ := written(t, sample(), e); !bytes.Equal(files["manifest.json"], want) {
			t.Errorf("%s has another manifest: %s", e.file, files["manifest.json"])
		}
		var m struct{ Icons map[string]string }
		if err := json.Unmarshal(files["manifest.json"], &m); err != nil || len(m.Icons) != 2 || files[m.Icons["color"]] == nil || files[m.Icons["outline"]] == nil {
			t.Errorf("%s: the manifest's icons are %v, %v", e.file, m.Icons, err)
		}
		if again, err := pack(sample(), e); err != nil || !bytes.Equal(again, zipped) {
			t.Errorf("%s has other bytes the second time: %v", e.file, err)
		}
	}
}

func icon(t *testing.T, name string) image.Image {
	t.Helper()
	raw, err := parts.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	m, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// count tells how many pixels of an icon are opaque, how many let something through, and which of these are not white.
func count(m image.Image) (opaque, clear, coloured int) {
	for y := range m.Bounds().Dy() {
		for x := range m.Bounds().Dx() {
			c := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
			switch c.A {
			case 255:
				opaque++
			case 0:
				clear++
				continue
			}
			if c.R != 255 || c.G != 255 || c.B != 255 {
				coloured++
			}
		}
	}
	return opaque, clear, coloured
}

// TestIconsAreAsTeamsWantsThem: "color" is square and covers everything, since Teams rounds it; "outline" is pure white
// on nothing.
func TestIconsAreAsTeamsWantsThem(t *testing.T) {
	t.Parallel()
	full := icon(t, "color.png")
	if b := full.Bounds(); b != image.Rect(0, 0, 192, 192) {
		t.Errorf("color.png measures %v", b)
	}
	if opaque, _, coloured := count(full); opaque != 192*192 || coloured < opaque/2 {
		t.Errorf("color.png has %d opaque pixels, %d with a colour", opaque, coloured)
	}
	outline := icon(t, "outline.png")
	if b := outline.Bounds(); b != image.Rect(0, 0, 32, 32) {
		t.Errorf("outline.png measures %v", b)
	}
	if opaque, clear, coloured := count(outline); coloured > 0 || opaque < 100 || clear < 500 {
		t.Errorf("outline.png has %d pixels that are not white, %d opaque and %d transparent ones", coloured, opaque, clear)
	}
}
