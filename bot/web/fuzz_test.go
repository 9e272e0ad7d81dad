package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"elevate/bot"
)

// FuzzRead reads bodies as a page may send them: one that is not taken is answered with a sentence.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"action":"approve","request":"07kq4-m2xp9"}`, `{"action":"approve"}{}`, `{"other":1}`, "\xff"} {
		f.Add("application/json", seed)
	}
	f.Add("text/plain", "{}")
	f.Fuzz(func(t *testing.T, kind, body string) {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		var c bot.Click
		if Read(w, r, &c) {
			if w.Body.Len() > 0 {
				t.Fatalf("taken, and answered %s", w.Body)
			}
		} else if w.Code < 400 || w.Code > 499 || !strings.Contains(w.Body.String(), `"error"`) {
			t.Fatalf("not taken, and answered %d %s", w.Code, w.Body)
		}
	})
}

// FuzzWords takes the bot's name off what was typed, and nothing else.
func FuzzWords(f *testing.F) {
	for _, seed := range []string{"/elevate mine", "@Elevate  roles x", "elevate", "", "\u00a0/ELEVATE"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if words, _ := commandWords(text); !strings.Contains(text, words) {
			t.Fatalf("%q is read as %q", text, words)
		}
	})
}
