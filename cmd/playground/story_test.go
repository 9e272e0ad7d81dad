package main

import (
	"testing"

	"github.com/chromedp/chromedp/kb"

	"elevate/cmd/elevate/e2etest"
)

// start is when the stories begin, so that pictures of them show the same hour.
const start = "2026-11-24T14:00:00Z"

const (
	request = `.message[data-card="request"]`
	held    = `[data-role="prod-db-admin"] [data-account="ana"][data-grant]`
	reply   = `.reply[data-card]`
)

// ask types a whole command, with completion, and sees the request in the channel.
func (x *tab) ask() {
	x.Helper()
	x.click("#line")
	x.Type("/elevate prod-db")
	x.reads("#choices", "prod-db-admin", "Production database admin")
	x.Shot("complete")
	x.Type(kb.Tab)
	x.reads("#choices", "30m", "usual")
	x.Type("30")
	x.See(`document.querySelectorAll("#choices .choice").length === 1`, "the one duration that begins with 30")
	x.Type(kb.Tab)
	x.reads("#hint", "Give the ticket")
	x.Type("INC-4711 replication has stopped, restarting it" + kb.Enter)
	x.reads(request, "Waiting for approval", "Ana Lima", "Production database admin", "INC-4711", "replication has stopped, restarting it")
	x.See(`document.getElementById("line").value === "" && document.getElementById("line").offsetHeight < 50`, "the message box, empty again")
}

func TestWholeStoryIsClickedThrough(t *testing.T) {
	t.Parallel()
	x := open(t, program(t, "-at", start), 1440, 900)
	x.reads("#guide", "You are Ana Lima", "/elevate")
	x.reads("#people [aria-checked=true]", "Ana Lima")
	x.reads(`[data-role="prod-db-admin"]`, "Greta Holm", "standing access")
	x.Shot("first")

	x.ask()
	x.reads(".message.only", "Only visible to you")
	x.See(`[...document.querySelectorAll(".message")].findIndex((m) => m.dataset.card === "request") === 2`, "her words, the answer, then the request")
	x.lacks(held)
	x.reads(".due", "prod-db-admin lapses undecided")
	x.reads(".trail", "Ana Lima asked for prod-db-admin")
	x.Shot("asked")

	// Her own click counts for nothing.
	x.click(request + ` [data-action="approve"]`)
	x.click("#confirm [data-yes]")
	x.reads(reply+".only", "Only visible to you")
	x.reads(request, "Waiting for approval")
	x.reads(".trail", "Ana Lima was refused")
	x.lacks(held)
	x.Shot("refused")

	x.reads(`[data-person="bob"] .badge`, "1")
	x.become("bob")
	x.lacks(reply + ".only") // what was said to Ana alone
	x.click(request + ` [data-action="approve"]`)
	x.reads("#confirm", "Ana Lima", "Production database admin", "30 minutes")
	x.Shot("confirm")
	x.click("#confirm button:not([data-yes])")
	x.lacks("#confirm[open]")
	x.lacks(held)
	x.click(request + ` [data-action="approve"]`)
	x.click("#confirm [data-yes]")

	x.reads(held, "Ana Lima", "until")
	x.reads(request, "Active", "Bob Keller")
	x.reads(reply, "Approved by Bob Keller")
	x.reads(".trail", "gave prod-db-admin to Ana")
	x.lacks(request + ` [data-action="approve"]`)
	x.Shot("active")

	x.become("ana")
	x.click(`[data-room="@ana"]`)
	x.reads(".message", "Access is active", "End now", "Extend")
	x.Shot("personal")

	x.click(`.segments input[name="rate"][value="60"]`)
	x.See(`document.querySelector('input[name="rate"][value="60"]').checked`, "time passing 60 times as fast")
	x.reads(".due li:first-child", "notice on prod-db-admin")
	x.click("#skip")
	x.reads(`.message[data-card="told-near_end"]`, "Access ends soon")
	x.reads(held, "Ana Lima")
	x.click(`.segments input[name="rate"][value="1"]`)
	x.reads(".due li:first-child", "prod-db-admin ends")
	x.Shot("notice")
	x.click("#skip")
	x.lacks(held)
	x.reads(`.message[data-card="told-ended"]`, "Access has ended")
	x.reads(".due", "No timers")

	x.click(`[data-room="access"]`)
	x.reads(request, "Ended")
	x.reads("#free", "Kubernetes cluster admin")
	x.click("#digest")
	x.reads(`.message[data-card="digest"]`, "Bob Keller")
	x.Shot("digest")
	x.click("#verify")
	x.reads(".toast", "the chain is whole")
}

func TestOverdueIsToldUntilTheTargetAnswers(t *testing.T) {
	t.Parallel()
	x := open(t, program(t, "-at", start), 1440, 900)
	x.ask()
	x.become("mei")
	x.click(request + ` [data-action="approve"]`)
	x.click("#confirm [data-yes]")
	x.reads(held, "Ana Lima")
	for _, fault := range []string{"off", "hang", "lie"} { // each in turn, and the access stays
		x.click(`input[name="fault"][value="` + fault + `"]`)
		x.See(`document.querySelector('#target-title .lamp.bad')`, "the target's lamp")
	}
	x.click(request + ` [data-action="end"]`)
	x.click("#confirm [data-yes]")
	x.reads(held, "should be gone")
	x.See(`document.querySelector(".due") && [...document.querySelectorAll(".due li")].some((li) => li.innerText.includes("counts as overdue"))`, "the timer that calls it overdue")
	x.click(`.segments input[name="rate"][value="60"]`)
	x.reads(reply, "Access has not ended")
	x.reads(held, "Ana Lima")
	x.click(`.segments input[name="rate"][value="1"]`)
	x.Shot("overdue")
	x.become("greta")
	x.click(`[data-room="@greta"]`)
	x.reads(`.message[data-card="alarm"]`, "1 grant has not ended", "prod-db-admin", "at the target by hand")
	x.Shot("alarm")
	x.click(`input[name="fault"][value="well"]`)
	x.click(`.segments input[name="rate"][value="60"]`)
	x.lacks(held)
	x.reads(`.message[data-card="alarm-over"]`, "Nothing is overdue any more")
	x.click(`[data-room="access"]`)
	x.reads(request, "Ended")
}

func TestFormsTellWhatIsWrongAndShowTextAsText(t *testing.T) {
	t.Parallel()
	x := open(t, program(t, "-at", start), 1440, 900)
	x.click("#line")
	x.Type("/elevate" + kb.Enter)
	x.reads("#form", "Request access")
	x.click("#in-role")
	x.reads(".found", "Production database admin")
	x.Type("deploy")
	x.See(`document.querySelectorAll(".found [data-value]").length === 1`, "the one role that fits")
	x.Type(kb.Enter)
	x.See(`document.querySelector("#in-ticket")`, "a ticket asked for by the role's policy")
	x.click(`#form .primary`)
	x.reads(`[data-input="justification"] .error`, "Say why")
	x.See(`document.querySelector("#in-justification").getAttribute("aria-invalid") === "true"`, "the wrong input marked")
	x.Shot("form")
	x.click("#in-justification")
	x.Type(`<img src=x onerror="document.title='owned'"> *bold* @bob`)
	x.click("#in-ticket")
	x.Type("CHG-12")
	x.click(`#form .primary`)
	x.lacks("#form[open]")
	x.reads(request, `<img src=x onerror="document.title='owned'"> *bold* @bob`)
	if e2etest.Get[bool](x.Page, `document.querySelector("#log img") !== null || document.title === "owned"`) {
		t.Error("what a person wrote became markup")
	}
	x.click(request + ` [data-action="details"]`)
	x.reads(".only", "CHG-12")

	x.become("bob")
	x.click(request + ` [data-action="deny"]`)
	x.reads("#form", "Deny")
	x.click("#in-reason")
	x.Type("Wait for the freeze to end")
	x.click("#form [type=submit]")
	x.reads(request, "Denied", "Bob Keller")
	x.click(`[data-room=""]`)
	x.reads("#home .card", "Request access")
	x.Shot("home")
}

// TestPicture takes the picture of the README: one grant is running, and one request waits for the approver at the page.
func TestPicture(t *testing.T) {
	t.Parallel()
	x := open(t, program(t, "-at", start), 1440, 900)
	x.become("kofi")
	x.click("#line")
	x.Type("/elevate staging-db-admin 1h trying the new index" + kb.Enter)
	x.reads(`[data-role="staging-db-admin"] [data-account="kofi"]`, "until")
	x.become("ana")
	x.ask()
	x.become("bob")
	x.reads(request+`:last-child`, "Waiting for approval", "@Bob Keller")
	x.reads("#guide", "Ana Lima is waiting for you")
	x.Shot("picture")
}
