package main

import (
	_ "embed"
	"fmt"
	"testing"

	"elevate/cmd/elevate/e2etest"
)

// emulatorScript chooses a person and a place on the emulator's page, and shows there what the page itself cannot show:
// rich text, dates and search inputs.
//
//go:embed testdata/emulator.js
var emulatorScript string

// camera takes pictures of the emulator's page, for people to look at.
type camera struct{ *e2etest.Page }

// openCamera opens a page where pictures are wanted; there is no camera otherwise.
func openCamera(t *testing.T) *camera {
	t.Helper()
	if e2etest.Pictures(t) == "" {
		return nil
	}
	return &camera{e2etest.OpenPage(t, "about:blank", 1180, 900)}
}

// shot shows a place ("#access-requests", "Elevate", or a dialog above one) as a person sees it, and keeps the picture.
// Thread opens the thread below the channel's last message that has one.
func (o *office) shot(name, person, place string, thread bool) {
	o.Helper()
	o.camera.takes(o.workspace, name, person, place, thread)
}

func (c *camera) takes(w *workspace, name, person, place string, thread bool) {
	w.Helper()
	if c == nil {
		return
	}
	c.Visit(w.url)
	e2etest.Get[bool](c.Page, fmt.Sprintf("(%s)(%q, %q, %t)", emulatorScript, slackID(person), place, thread))
	c.Shot(name)
}
