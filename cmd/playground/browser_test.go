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

	"github.com/chromedp/cdproto/emulation"
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
	ctx context.Context
}

// open starts a browser of its own on an address. Whatever the page complains of fails the test.
func open(t *testing.T, address string, width, height int64) *tab {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("no chromium: install Debian's package chromium")
	} else if err != nil {
		t.Skip("no chromium: install Debian's package chromium to try the page in it")
	}
	ctx := e2etest.Browser(t, path)
	x := &tab{T: t, ctx: ctx}
	complaints := overhear(t, ctx)
	t.Cleanup(func() {
		for _, c := range complaints() {
			t.Errorf("the page complains: %s", c)
		}
	})
	x.do(chromedp.EmulateViewport(width, height, chromedp.EmulateScale(scale())))
	x.do(chromedp.Navigate(address))
	x.see(`document.querySelectorAll("#people button").length > 0`, "people to choose from")
	return x
}

// scale is how many dots of a screenshot stand for a pixel of the page.
func scale() float64 {
	if os.Getenv("ELEVATE_SCREENSHOTS") == "" {
		return 1
	}
	return 1.5
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

func (x *tab) do(a chromedp.Action[chromedp.Void]) {
	x.Helper()
	ctx, cancel := context.WithTimeout(x.ctx, 2*patience)
	defer cancel()
	if err := chromedp.Do(ctx, a); err != nil {
		x.Fatal(err)
	}
}

// get evaluates an expression, waiting for it where it is a promise.
func get[T any](x *tab, expression string) T {
	x.Helper()
	ctx, cancel := context.WithTimeout(x.ctx, 2*patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		x.Fatalf("%v, evaluating %s", err, expression)
	}
	return v
}

// scene is what somebody would see who looked at a page that did not come to show what it should.
const scene = `JSON.stringify({ focus: document.activeElement?.id, line: document.getElementById("line")?.value, hint: document.getElementById("hint")?.textContent,
	choices: document.getElementById("choices")?.innerText, hidden: document.getElementById("choices")?.hidden, log: document.getElementById("log")?.innerText,
	offline: document.body.className, toast: [...document.querySelectorAll(".toast")].map((e) => e.innerText) })`

// see waits until an expression is true in the page. What says what that means.
func (x *tab) see(expression, what string) {
	x.Helper()
	seen := get[bool](x, fmt.Sprintf(`new Promise((done) => {
		const end = performance.now() + %d;
		const look = () => {
			let yes = false;
			try { yes = Boolean(%s); } catch { yes = false; }
			if (yes || performance.now() > end) done(yes);
			else setTimeout(look, 20);
		};
		look();
	})`, patience.Milliseconds(), expression))
	if !seen {
		x.shot("failed")
		x.Fatalf("not seen: %s\n%s", what, get[string](x, scene))
	}
}

// reads waits until an element's text has all of the words.
func (x *tab) reads(selector string, words ...string) {
	x.Helper()
	list, err := json.Marshal(words)
	if err != nil {
		x.Fatal(err)
	}
	x.see(fmt.Sprintf(`[...document.querySelectorAll(%q)].some((el) => %s.every((w) => el.innerText.includes(w)))`, selector, list),
		fmt.Sprintf("%q in %s", words, selector))
}

// lacks waits until nothing fits a selector.
func (x *tab) lacks(selector string) {
	x.Helper()
	x.see(fmt.Sprintf(`document.querySelector(%q) === null`, selector), "the end of "+selector)
}

// click presses the mouse on an element, once it is there, at rest and not covered by another.
func (x *tab) click(selector string) {
	x.Helper()
	at := get[[]float64](x, fmt.Sprintf(`new Promise((done) => {
		const end = performance.now() + %d;
		let last = "";
		const look = () => {
			const el = [...document.querySelectorAll(%q)].findLast((e) => e.getClientRects().length > 0);
			if (performance.now() > end) return done([]);
			if (el) {
				const visible = el.closest("dialog") || !document.querySelector("dialog[open]");
				const b = el.getBoundingClientRect();
				const [x, y] = [b.x + b.width / 2, b.y + b.height / 2];
				const top = document.elementFromPoint(x, y);
				const now = JSON.stringify([x, y]);
				if (!top || y > innerHeight - 8 || y < 8) el.scrollIntoView({ block: "center" });
				else if (visible && now === last && (el.contains(top) || top.contains(el)) && !el.disabled) return done([x, y]);
				last = now;
			}
			setTimeout(look, 30);
		};
		look();
	})`, patience.Milliseconds(), selector))
	if len(at) != 2 {
		x.shot("failed")
		x.Fatalf("nothing to click: %s", selector)
	}
	x.do(chromedp.MouseClickXY(at[0], at[1]))
}

// keys types into what has the focus.
func (x *tab) keys(text string) {
	x.Helper()
	x.do(chromedp.KeyEvent(text))
}

// become chooses another person.
func (x *tab) become(person string) {
	x.Helper()
	x.click(`[data-person="` + person + `"]`)
	x.see(`document.querySelector('[data-person="`+person+`"][aria-checked="true"]')`, person+" chosen")
}

// prefer sets what the desktop asks of pages: "light" or "dark".
func (x *tab) prefer(scheme string) {
	x.Helper()
	_, err := chromedp.Call(x.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	if err != nil {
		x.Fatal(err)
	}
}

// shot keeps a picture of the page for people to look at, where one is asked for.
func (x *tab) shot(name string) {
	x.Helper()
	dir := os.Getenv("ELEVATE_SCREENSHOTS")
	if dir == "" {
		return
	}
	get[bool](x, `Promise.all(document.getAnimations().map((a) => a.finished.catch(() => 0))).then(() => true)`)
	png, err := chromedp.Run(x.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		x.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		x.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		x.Fatal(err)
	}
}
