package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"elevate/cmd/elevate/e2etest"
)

// patience is how long the page may take to show what it should.
const patience = time.Minute

// binary is the program, built once for all tests, as its user would build it.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "playground-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "playground")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// program runs the playground on a free port until the test ends, and gives the address it printed.
func program(t *testing.T, args ...string) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	cmd := exec.Command(path, append([]string{"-listen", "127.0.0.1:0"}, args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Errorf("nothing was printed: %v", err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil || errors.Len() > 0 {
			t.Errorf("the program ended with %v, saying %s", err, errors.String())
		}
		if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	})
	_, address, found := strings.Cut(strings.TrimSpace(line), " is at ")
	if !found {
		t.Fatalf("no address in %q", line)
	}
	return address
}

// tab is a page in a browser.
type tab struct {
	*testing.T
	*e2etest.Page
}

// open starts a browser of its own on an address. Whatever the page complains of fails the test.
func open(t *testing.T, address string, width, height int64) *tab {
	t.Helper()
	x := &tab{T: t, Page: e2etest.OpenPage(t, "about:blank", width, height)}
	if e2etest.Pictures(t) != "" { // sharper ones
		if err := chromedp.Do(x.Page.Context(), chromedp.EmulateViewport(width, height, chromedp.EmulateScale(1.5))); err != nil {
			t.Fatal(err)
		}
	}
	complaints := overhear(t, x.Page.Context())
	t.Cleanup(func() {
		for _, c := range complaints() {
			t.Errorf("the page complains: %s", c)
		}
	})
	x.Visit(address)
	x.See(`document.querySelectorAll("#people button").length > 0`, "people to choose from")
	return x
}

// overhear collects exceptions and errors of a page.
func overhear(t *testing.T, ctx context.Context) func() []string {
	t.Helper()
	var mu sync.Mutex
	var said []string
	err := chromedp.Listen(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			said = append(said, fmt.Sprint(e.ExceptionDetails.Text, " ", e.ExceptionDetails.Exception))
		case *cdplog.EventEntryAdded:
			said = append(said, e.Entry.Text+" "+e.Entry.URL)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return said
	}
}

// reads waits until an element that can be seen has all of the words: a hidden one keeps those that it had.
func (x *tab) reads(selector string, words ...string) {
	x.Helper()
	list, err := json.Marshal(words)
	if err != nil {
		x.Fatal(err)
	}
	x.See(fmt.Sprintf(`[...document.querySelectorAll(%q)].some((el) => el.checkVisibility() && %s.every((w) => el.innerText.includes(w)))`, selector, list),
		fmt.Sprintf("%q in %s", words, selector))
}

// lacks waits until nothing fits a selector.
func (x *tab) lacks(selector string) {
	x.Helper()
	x.See(fmt.Sprintf(`document.querySelector(%q) === null`, selector), "the end of "+selector)
}

// click presses the mouse on the last visible element that fits a selector, where no dialog stands above it.
func (x *tab) click(selector string) {
	x.Helper()
	x.Click(fmt.Sprintf(`[...document.querySelectorAll(%q)].findLast((e) => e.getClientRects().length > 0 &&
		(e.closest("dialog") || !document.querySelector("dialog[open]")))`, selector), selector)
}

// become chooses another person.
func (x *tab) become(person string) {
	x.Helper()
	x.click(`[data-person="` + person + `"]`)
	x.See(`document.querySelector('[data-person="`+person+`"][aria-checked="true"]')`, person+" chosen")
}
