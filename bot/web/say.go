package web

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"elevate/bot"
)

// command is the word that calls the bot.
const command = "/elevate"

// say takes a line from the composer: a command, or words for the room. In a personal room the bot is alone with the
// person, so that every line is a command.
func (s *Server) say(w http.ResponseWriter, r *http.Request) {
	var in struct {
		place
		Text string `json:"text"`
	}
	if !Read(w, r, &in) {
		return
	}
	who, ok := s.admit(w, r, in.place)
	if !ok {
		return
	}
	text := strings.TrimSpace(in.Text)
	if n := utf8.RuneCountInString(text); n == 0 || n > maxText {
		Fail(w, http.StatusUnprocessableEntity, "Write something, of at most 4,000 characters.")
		return
	}
	words, called := commandWords(text)
	private := strings.HasPrefix(in.Room, "@")
	switch {
	case called, private && !strings.HasPrefix(text, "/"):
		s.command(w, r, in.place, who, text, words)
	case strings.HasPrefix(text, "/"):
		Fail(w, http.StatusUnprocessableEntity, "The one command here is /elevate. Type /elevate help to see what it can do.")
	case in.Room == "":
		Fail(w, http.StatusUnprocessableEntity, "Open a channel to write in it.")
	default:
		if err := s.chat.say(r.Context(), in.Person, in.Room, text); err != nil {
			s.log.WarnContext(r.Context(), "line not posted", "person", in.Person, "room", in.Room, "err", err)
		}
		Reply(w, http.StatusOK, answer{})
	}
}

// command hands a command to the bot. What was typed is shown to its writer above the answer; a form needs no echo.
func (s *Server) command(w http.ResponseWriter, r *http.Request, at place, who bot.Who, text, words string) {
	typed, answered := s.chat.take(), s.chat.take()
	a := s.talker.Command(r.Context(), who, words)
	if a.Card != nil && at.Room != "" {
		if err := s.chat.echo(r.Context(), at.Person, at.Room, typed, text); err != nil {
			s.log.WarnContext(r.Context(), "command not shown", "person", at.Person, "room", at.Room, "err", err)
		}
	}
	s.answer(w, r, at, answered, a)
}

// commandWords gives the words after /elevate, or the text itself where the bot was not called.
func commandWords(text string) (words string, called bool) {
	rest, ok := strings.CutPrefix(text, command)
	if !ok || (rest != "" && !strings.ContainsAny(rest[:1], " \t\n")) {
		return text, false
	}
	return strings.TrimSpace(rest), true
}
