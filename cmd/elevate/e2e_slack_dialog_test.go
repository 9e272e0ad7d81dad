package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"elevate/cmd/elevate/e2etest"
)

// page is what the emulator's own pages know.
type page struct {
	Apps      []struct{ Connected bool }
	Modals    []modal                     `json:"modalStack"`
	HomeViews map[string]map[string]modal `json:"homeViews"`
}

// modal is a dialog, or somebody's Home page.
type modal struct {
	ID     string
	Title  map[string]any
	Blocks []map[string]any
}

func (m modal) says() string {
	var said strings.Builder
	read(&said, m.Title)
	return said.String() + "\n" + words(m.Blocks)
}

func (w *workspace) page() page {
	w.Helper()
	conn, p := w.watch()
	_ = conn.Close() // it has said what was asked
	return p
}

// watch connects as the emulator's own pages do: they alone can send forms off. First comes what there is, then what happens.
func (w *workspace) watch() (*websocket.Conn, page) {
	w.Helper()
	conn, _, err := websocket.DefaultDialer.DialContext(w.Context(), "ws"+strings.TrimPrefix(w.url, "http")+"/ui", nil)
	if err != nil {
		w.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(soon)); err != nil {
		w.Fatal(err)
	}
	var first struct{ State page }
	if err := conn.ReadJSON(&first); err != nil {
		w.Fatal(err)
	}
	return conn, first.State
}

// acts does something that only the emulator's pages can.
func (w *workspace) acts(what map[string]any) {
	w.Helper()
	conn, _ := w.watch()
	defer func() { _ = conn.Close() }()
	if err := conn.WriteJSON(what); err != nil {
		w.Fatal(err)
	}
}

// connected waits until the app has connected by Socket Mode.
func (w *workspace) connected() {
	w.Helper()
	e2etest.Eventually(w, soon, func() error {
		if apps := w.page().Apps; len(apps) != 1 || !apps[0].Connected {
			return errors.New("the app has not connected")
		}
		return nil
	})
}

// opened waits for a dialog with all of the words.
func (w *workspace) opened(said ...string) modal {
	w.Helper()
	var top modal
	e2etest.Eventually(w, soon, func() error {
		all := w.page().Modals
		if len(all) == 0 {
			return errors.New("no dialog is open")
		}
		top = all[len(all)-1]
		if lacks := lacking(top.says(), said); len(lacks) > 0 {
			return fmt.Errorf("the dialog lacks %q:\n%s", lacks, top.says())
		}
		return nil
	})
	return top
}

// filled are the values of a dialog's inputs as the form was opened, with some of them changed.
func (m modal) filled(changed map[string]string) map[string]map[string]any {
	values := map[string]map[string]any{}
	for _, b := range m.Blocks {
		e, ok := b["element"].(map[string]any)
		if !ok {
			continue
		}
		name := fmt.Sprint(e["action_id"])
		value := map[string]any{"type": e["type"]}
		to, change := changed[name]
		switch {
		case e["type"] == "plain_text_input" && change:
			value["value"] = to
		case e["type"] == "plain_text_input":
			value["value"] = e["initial_value"]
		case change:
			value["selected_option"] = map[string]any{"value": to, "text": map[string]any{"type": "plain_text", "text": to}}
		default:
			value["selected_option"] = e["initial_option"]
		}
		values[fmt.Sprint(b["block_id"])] = map[string]any{name: value}
	}
	return values
}

// submits sends the open dialog off, and gives the errors that it then shows, by input block.
func (w *workspace) submits(person string, values map[string]map[string]any) map[string]string {
	w.Helper()
	conn, _ := w.watch()
	defer func() { _ = conn.Close() }()
	if err := conn.WriteJSON(map[string]any{"t": "view_submit", "user": slackID(person), "values": values}); err != nil {
		w.Fatal(err)
	}
	for {
		var event struct {
			T      string
			Errors map[string]string
		}
		if err := conn.ReadJSON(&event); err != nil {
			w.Fatalf("the form was not answered: %v", err)
		}
		switch event.T {
		case "view_errors":
			return event.Errors
		case "view":
			return nil
		}
	}
}

// closes closes the open dialog.
func (w *workspace) closes(person string) {
	w.Helper()
	w.acts(map[string]any{"t": "view_close", "user": slackID(person)})
	e2etest.Eventually(w, soon, func() error {
		if len(w.page().Modals) > 0 {
			return errors.New("the dialog stays open")
		}
		return nil
	})
}

// clicksAtHome presses a button of somebody's Home page.
func (w *workspace) clicksAtHome(person string, home modal, label string) {
	w.Helper()
	b, found := buttonOf(home.Blocks, label)
	if !found {
		w.Fatalf("no button %q on: %s", label, home.says())
	}
	w.acts(map[string]any{"t": "block_action", "channel": "", "messageTs": "", "user": slackID(person), "action": b, "appId": "A0ELEVATE"})
}

// home opens somebody's Home page and waits until it has all of the words.
func (w *workspace) home(person string, said ...string) modal {
	w.Helper()
	w.control("open-home", map[string]any{"user": slackID(person)}, nil)
	var found modal
	e2etest.Eventually(w, soon, func() error {
		found = w.page().HomeViews[slackID(person)]["A0ELEVATE"]
		if lacks := lacking(found.says(), said); len(lacks) > 0 {
			return fmt.Errorf("the Home page lacks %q:\n%s", lacks, found.says())
		}
		return nil
	})
	return found
}
