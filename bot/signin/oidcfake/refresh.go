package oidcfake

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
)

// Refreshes are what the provider does with refresh tokens beside answering to them.
type Refreshes struct {
	NoRefresh bool // gives none, and says that it has no such scope
	// Rotates gives another token each time. One that is used a second time takes all of its family away, as RFC 9700 asks for.
	Rotates         bool
	RefreshError    string                      // answers 400 with it
	RefreshDown     bool                        // answers 503 to refresh tokens
	Hold            chan struct{}               // answers to refresh tokens when it is closed, after having rotated them
	GroupsElsewhere bool                        // groups are in UserInfo, and not in ID tokens
	NoIDToken       bool                        // gives none for a refresh token
	NoUserInfo      bool                        // answers 503 there
	UserInfo        func(claims map[string]any) // changes its answer
}

func (f Refreshes) scopes() []string {
	if f.NoRefresh {
		return []string{"openid"}
	}
	return []string{"openid", "offline_access"}
}

// grant is what one sign-in lets Elevate ask for while the person is away: a family of tokens.
type grant struct {
	code    code
	current string
	revoked bool
}

// grant makes a refresh token.
func (s *Server) grant(c code) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := "refresh-canary-" + rand.Text()
	s.grants[token] = &grant{code: c, current: token}
	return token
}

// let makes an access token.
func (s *Server) let(u User) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := "access-canary-" + rand.Text()
	s.bearer[token] = u
	return token
}

// SetGroups has somebody be in other groups from now on.
func (s *Server) SetGroups(subject string, groups ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.users {
		if s.users[i].Subject == subject {
			s.users[i].Groups = groups
		}
	}
}

// Revoke takes away what a person has allowed, as an administrator of the provider does.
func (s *Server) Revoke(subject string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.grants {
		if g.code.user.Subject == subject {
			g.revoked = true
		}
	}
}

// refresh answers to a refresh token: who the person is now, and the token for the next time.
func (s *Server) refresh(w http.ResponseWriter, r *http.Request, f Faults) {
	s.mu.Lock()
	s.calls["refresh"]++
	s.mu.Unlock()
	switch {
	case f.RefreshDown:
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	case f.RefreshError != "":
		write(w, http.StatusBadRequest, map[string]any{"error": f.RefreshError})
		return
	}
	c, next, ok := s.turn(r.FormValue("refresh_token"), f.Rotates)
	if f.Hold != nil {
		select {
		case <-f.Hold:
		case <-r.Context().Done():
			return
		}
	}
	if !ok {
		write(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant", "error_description": "the canary refresh token is revoked"})
		return
	}
	answer := map[string]any{"access_token": s.let(c.user), "token_type": "Bearer", "expires_in": 300}
	if next != "" {
		answer["refresh_token"] = next
	}
	if !f.NoIDToken {
		c.ask = nil // there is no nonce in what was not asked for by a browser
		answer["id_token"] = s.sign(c, f)
	}
	write(w, http.StatusOK, answer)
}

// turn takes a refresh token, and gives the next one of its family, where there is another.
func (s *Server) turn(token string, rotates bool) (c code, next string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.grants[token]
	if g == nil {
		return c, "", false
	}
	if g.current != token {
		g.revoked = true // somebody else has it
	}
	if g.revoked {
		return c, "", false
	}
	if rotates {
		next = "refresh-canary-" + rand.Text()
		s.grants[next], g.current = g, next
	}
	c = g.code
	if i := slices.IndexFunc(s.users, func(u User) bool { return u.Subject == c.user.Subject }); i >= 0 {
		c.user = s.users[i]
	}
	return c, next, true
}

// userinfo tells who somebody is, for an access token.
func (s *Server) userinfo(w http.ResponseWriter, r *http.Request) {
	f := s.called(r)
	s.mu.Lock()
	u, known := s.bearer[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	s.mu.Unlock()
	switch {
	case f.Down, f.NoUserInfo:
		http.Error(w, "down: "+r.Header.Get("Authorization"), http.StatusServiceUnavailable)
	case !known:
		http.Error(w, "who?", http.StatusUnauthorized)
	default:
		claims := map[string]any{"sub": u.Subject, "name": u.Name, "groups": u.Groups}
		if f.UserInfo != nil {
			f.UserInfo(claims)
		}
		write(w, http.StatusOK, claims)
	}
}
