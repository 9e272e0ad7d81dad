package main

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"elevate/cmd/elevate/e2etest"
)

//go:embed testdata/legible.js
var legible string

// clear checks that people can read and use what is on the page now: contrast (WCAG 2.1 AA), names for whatever can be
// pressed or filled in, and nothing that sticks out at the side.
func (x *tab) clear(when string) {
	x.Helper()
	e2etest.Get[bool](x.Page, `Promise.all(document.getAnimations().map((a) => a.finished.catch(() => 0))).then(() => true)`)
	for _, fault := range e2etest.Get[[]string](x.Page, legible) {
		x.Errorf("%s: %s", when, fault)
	}
}

func TestPageIsLegibleInLightAndDark(t *testing.T) {
	t.Parallel()
	x := open(t, program(t, "-at", start), 1440, 900)
	for _, scheme := range []string{"light", "dark"} {
		x.Prefer(scheme)
		x.clear(scheme + ", at first")
		x.click("#line")
		x.Type("/elevate ")
		x.reads("#choices", "prod-db-admin")
		x.clear(scheme + ", completing")
		x.Type(strings.Repeat("\b", len("/elevate ")))
	}
	x.ask()
	x.click(request + ` [data-action="approve"]`)
	x.clear("dark, confirming")
	x.click("#confirm [data-yes]")
	x.reads(reply+".only", "Only visible to you")
	x.become("bob")
	x.click(request + ` [data-action="deny"]`)
	x.reads("#form", "Deny")
	for _, scheme := range []string{"light", "dark"} {
		x.Prefer(scheme)
		x.clear(scheme + ", denying")
	}
	x.Shot("dark-deny")
	x.click("#form .close")
	x.click(request + ` [data-action="approve"]`)
	x.click("#confirm [data-yes]")
	x.reads(held, "Ana Lima")
	x.Shot("dark-active")
	for _, room := range []string{"", "access-critical", "@bob", "access"} {
		x.click(`[data-room="` + room + `"]`)
		for _, scheme := range []string{"light", "dark"} {
			x.Prefer(scheme)
			x.clear(scheme + ", in " + room)
		}
	}
	x.click(`input[name="fault"][value="off"]`)
	x.click(request + ` [data-action="end"]`)
	x.click("#confirm [data-yes]")
	x.reads(held, "should be gone")
	x.clear("dark, ending late")
	x.Prefer("light")
	x.clear("light, ending late")
}

func TestPhoneShowsOnePartAtATime(t *testing.T) {
	t.Parallel()
	x := open(t, program(t, "-at", start), 390, 844)
	x.reads("#guide", "You are Ana Lima")
	x.clear("chat")
	x.Shot("phone-first")
	x.ask()
	x.clear("asked")
	x.click("#tabs button:nth-child(1)")
	x.clear("rooms")
	x.Shot("phone-rooms")
	x.become("bob")
	x.click(`[data-room="access"]`)
	x.reads(request, "Approve")
	x.Shot("phone-request")
	x.click(request + ` [data-action="approve"]`)
	x.reads("#confirm", "Grant this access?")
	x.Shot("phone-confirm")
	x.click("#confirm [data-yes]")
	x.reads(request, "Active")
	x.click("#tabs button:nth-child(3)")
	x.reads(held, "Ana Lima")
	x.clear("target")
	x.Shot("phone-target")
	x.Prefer("dark")
	x.clear("target, dark")
	x.Shot("phone-target-dark")
	x.click("#tabs button:nth-child(1)")
	x.become("ana")
	x.click("#tabs button:nth-child(2)")
	x.click("#line")
	x.Type("/elevate\r")
	x.reads("#form", "Request access")
	x.clear("form")
	x.Shot("phone-form")
}

func TestKeyboardAloneIsEnough(t *testing.T) {
	t.Parallel()
	x := open(t, program(t, "-at", start), 1440, 900)
	x.Type("\t") // the link that skips to the message box
	x.See(`document.activeElement.classList.contains("skip")`, "the first stop of the tabulator")
	x.Type("\r")
	x.See(`document.activeElement.id === "line"`, "the message box")
	x.Type("/elevate staging-db-admin 1h trying the new index\r")
	x.reads(`[data-role="staging-db-admin"] [data-account="ana"]`, "until")
	press := func(selector string) {
		t.Helper()
		e2etest.Get[bool](x.Page, `(document.querySelector('`+selector+`').focus(), true)`)
		x.Type("\r")
	}
	press(request + ` [data-action="end"]`)
	x.See(`document.querySelector("#confirm[open] [data-yes]") === document.activeElement`, "the question in focus")
	x.Type("\x1b")
	x.lacks("#confirm[open]")
	x.See(`document.activeElement.dataset.action === "end"`, "the focus back on the button")
	x.Type("\r")
	x.See(`document.querySelector("#confirm[open] [data-yes]") === document.activeElement`, "the question in focus again")
	x.Type("\r")
	x.lacks(`[data-role="staging-db-admin"] [data-account="ana"]`)
	x.reads(request, "Ended")
}

// TestTabTakesWhatFitsTheText: whoever types faster than the server answers must not be given a role of the list from before.
func TestTabTakesWhatFitsTheText(t *testing.T) {
	t.Parallel()
	x := open(t, program(t, "-at", start), 1440, 900)
	x.click("#line")
	x.Type("/elevate ")
	x.reads("#choices", "cluster-admin")
	x.See(`(() => {
		const answer = window.fetch;
		const held = new Promise((resolve) => { window.release = resolve; });
		window.fetch = async (...args) => { await held; return answer(...args); };
		return true;
	})()`, "a server that takes its time")
	x.Type("prod-db" + kb.Tab)
	x.See(`document.getElementById("line").value === "/elevate prod-db"`, "nothing taken before the answer")
	x.See(`window.release() === undefined`, "the answer")
	x.See(`document.getElementById("line").value === "/elevate prod-db-admin "`, "the role that fits")
}
