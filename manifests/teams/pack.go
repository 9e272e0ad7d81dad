package main

import (
	"archive/zip"
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"
)

// parts are the manifest for the newest schema, with ${…} where installations differ, and the icons: the sign of
// bot/web/page/logo.svg, square, since Teams rounds its corners itself.
//
//go:embed manifest.json color.png outline.png
var parts embed.FS

// edition is a package for tenants that take manifests up to a version of the schema.
type edition struct {
	schema  string   // version
	file    string   // name of the package
	says    string   // about it
	unknown []string // what the schema does not know, wherever it stands in the manifest
}

func editions() []edition {
	return []edition{
		{schema: "1.30", file: "elevate-teams.zip", says: "with slash commands"},
		{schema: "1.25", file: "elevate-teams-1.25.zip", says: "for tenants that refuse that one: without slash commands",
			unknown: []string{"supportsTargetedMessages", "triggers"}}, // both came with 1.29
	}
}

// manifest gives the manifest of an app in an edition.
func manifest(a app, e edition) ([]byte, error) {
	raw, err := parts.ReadFile("manifest.json")
	if err != nil {
		return nil, err
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	doc["manifestVersion"] = e.schema
	doc["$schema"] = fmt.Sprintf("https://developer.microsoft.com/json-schemas/teams/v%s/MicrosoftTeams.schema.json", e.schema)
	values := map[string]string{"APP_ID": a.id, "DOMAIN": a.domain, "NAME": a.name, "VERSION": a.version}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(fill(doc, func(name string) string { return values[name] }, e.unknown)); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// fill gives a piece of a manifest with the values in it, and without the keys that are unknown.
func fill(piece any, value func(name string) string, unknown []string) any {
	switch p := piece.(type) {
	case string:
		return os.Expand(p, value)
	case []any:
		for i := range p {
			p[i] = fill(p[i], value, unknown)
		}
	case map[string]any:
		for key := range p {
			if slices.Contains(unknown, key) {
				delete(p, key)
				continue
			}
			p[key] = fill(p[key], value, unknown)
		}
	}
	return piece
}

// epoch is where the dates of a zip begin. It stands for every file's, so that the same app gives the same bytes.
var epoch = time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC)

// pack gives the zip: three files, at its root.
func pack(a app, e edition) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range []string{"manifest.json", "color.png", "outline.png"} {
		content, err := parts.ReadFile(name)
		if name == "manifest.json" {
			content, err = manifest(a, e)
		}
		if err != nil {
			return nil, err
		}
		part, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: epoch})
		if err != nil {
			return nil, err
		}
		if _, err := part.Write(content); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}
