package web

import (
	"context"
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
	text := strings.TrimSpace(in.Text)
	words, called := commandWords(text)
	called = called || strings.HasPrefix(in.Room, "@") && !strings.HasPrefix(text, "/")
	why := ""
	switch n := utf8.RuneCountInString(text); {
	case n == 0 || n > maxText:
		why = "Write something, of at most 4,000 characters."
	case called:
	case strings.HasPrefix(text, "/"):
		why = "The one command here is /elevate. Type /elevate help to see what it can do."
	case in.Room == "":
		why = "Open a channel to write in it."
	}
	if why != "" {
		Fail(w, http.StatusUnprocessableEntity, why)
		return
	}
	s.act(w, r, in.place, func(ctx context.Context, who bot.Who) answer {
		if called {
			return s.command(ctx, in.place, who, text, words)
		}
		if err := s.chat.say(ctx, in.Person, in.Room, text); err != nil {
			s.log.WarnContext(ctx, "line not posted", "person", in.Person, "room", in.Room, "err", err)
		}
		return answer{}
	})
}

// command hands a command to the bot. What was typed is shown to its writer above the answer; a form needs no echo.
func (s *Server) command(ctx context.Context, at place, who bot.Who, text, words string) answer {
	typed, answered := s.chat.take(), s.chat.take()
	a := s.talker.Command(ctx, who, words)
	if a.Card != nil && at.Room != "" {
		if err := s.chat.echo(ctx, at.Person, at.Room, typed, text); err != nil {
			s.log.WarnContext(ctx, "command not shown", "person", at.Person, "room", at.Room, "err", err)
		}
	}
	return s.answer(ctx, at, answered, a)
}

// commandWords gives the words after /elevate, or the text itself where the bot was not called.
func commandWords(text string) (words string, called bool) {
	rest, ok := strings.CutPrefix(text, command)
	if !ok || (rest != "" && !strings.ContainsAny(rest[:1], " \t\n")) {
		return text, false
	}
	return strings.TrimSpace(rest), true
}
