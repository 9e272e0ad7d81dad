package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"elevate/cmd/elevate/e2etest"
)

// emulatorScript chooses a person and a place on the emulator's page, and shows there what the page itself cannot show:
// rich text, dates and search inputs.
//
//go:embed testdata/emulator.js
var emulatorScript string

// camera takes pictures of the emulator's page, for people to look at.
type camera struct {
	dir string
	ctx context.Context
}

// openCamera starts a browser where $ELEVATE_SCREENSHOTS names a folder; there is no camera otherwise.
func openCamera(t *testing.T) *camera {
	t.Helper()
	dir := os.Getenv("ELEVATE_SCREENSHOTS")
	if dir == "" {
		return nil
	}
	dir = filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "-"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("no chromium: install Debian's package chromium, or unset ELEVATE_SCREENSHOTS")
	}
	ctx := e2etest.Browser(t, path)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1180, 900)); err != nil {
		t.Fatal(err)
	}
	return &camera{dir, ctx}
}

// shot shows a place ("#access-requests", "Elevate", or a dialog above one) as a person sees it, and keeps the picture.
// Thread opens the thread below the channel's last message that has one.
func (o *office) shot(name, person, place string, thread bool) {
	o.Helper()
	if o.camera == nil {
		return
	}
	ctx := o.camera.ctx
	if err := chromedp.Do(ctx, chromedp.Navigate(o.url)); err != nil {
		o.Fatal(err)
	}
	show := fmt.Sprintf("(%s)(%q, %q, %t)", emulatorScript, slackID(person), place, thread)
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](show, chromedp.EvalAwaitPromise)); err != nil {
		o.Fatal(err)
	}
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		o.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.camera.dir, name+".png"), png, 0o644); err != nil {
		o.Fatal(err)
	}
}
