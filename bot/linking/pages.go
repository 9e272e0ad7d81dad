package linking

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"

	"elevate/bot"
	"elevate/bot/page"
	"elevate/bot/signin"
)

// show is the page that the link opens. It changes nothing, however often programs that look at links open it.
func (o *Office) show(w http.ResponseWriter, r *http.Request) {
	token := r.PathValue("token")
	v, err := o.invited(r.Context(), idOf(token))
	if v == nil {
		o.over(w, err)
		return
	}
	page.Write(w, http.StatusOK, page.Page{
		Title: "Is this " + bot.ChatName(v.Chat) + " account yours?",
		Lead:  "Sign in to show Elevate who uses it. From then on, what is asked for and approved there counts as yours.",
		Facts: o.facts(r.Context(), *v),
		Form:  &page.Form{Action: Prefix + "/" + token, Submit: "Sign in with " + o.cfg.Provider},
		Foot:  "Did somebody send you this link? Then it is not for you: close the page. Elevate gives it to the one who typed “" + o.cfg.Command(v.Chat) + " link”, and to nobody else.",
	})
}

// begin sends the browser to sign in. The invitation is taken only when that is done.
func (o *Office) begin(w http.ResponseWriter, r *http.Request) {
	id := idOf(r.PathValue("token"))
	v, err := o.invited(r.Context(), id)
	if v == nil {
		o.over(w, err)
		return
	}
	o.cfg.Desk.Begin(w, r, signin.Errand{Purpose: purpose(id), Back: Prefix + "/as/" + id, Offline: true})
}

var invitationID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// signedIn is the page that the browser comes back to. It shows the word to whoever has signed in with it, and to nobody
// else; the first who does takes the invitation.
func (o *Office) signedIn(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	visit, err := o.cfg.Desk.Visit(r, purpose(id))
	if !invitationID.MatchString(id) || errors.Is(err, signin.ErrNobody) {
		o.over(w, nil)
		return
	}
	v, noInvitation := o.invitation(r.Context(), id)
	if err := errors.Join(err, noInvitation); err != nil || v == nil {
		o.over(w, err)
		return
	}
	mine := idOf(visit.Derive("taken"))
	by, _, err := o.cfg.Store.Once(r.Context(), takenKey(id), []byte(mine), 2*invitedFor)
	if err != nil || string(by) != mine {
		o.over(w, err)
		return
	}
	o.word(w, r, id, *v, visit)
}

// word shows the word, or that it was typed.
func (o *Office) word(w http.ResponseWriter, r *http.Request, id string, v invitation, visit signin.Visit) {
	p, err := o.cfg.Directory.ByIdentity(r.Context(), visit.Identity)
	if err != nil {
		o.over(w, err)
		return
	}
	facts := append([]page.Fact{{Label: "You are", Value: p.DisplayName() + " (" + string(p.ID) + ")"}}, o.facts(r.Context(), v)...)
	link, err := o.cfg.Store.Link(r.Context(), v.Chat, v.Account)
	if err == nil && link != nil && link.Person == visit.Person && link.Identity != nil && link.Identity.At.Equal(visit.Identity.At) {
		page.Write(w, http.StatusOK, page.Page{Title: "The account is linked", Tone: page.Good, Lead: "You can close this page and go on in " + bot.ChatName(v.Chat) + ".", Facts: facts})
		return
	}
	word := wordOf(visit, id)
	value, encodeErr := json.Marshal(visit)
	if err = errors.Join(err, encodeErr); err == nil {
		err = o.cfg.Store.Offer(r.Context(), waiting(v.Chat, v.Account), simple(word), value, mostTries, invitedFor)
	}
	if err != nil {
		o.over(w, err)
		return
	}
	page.Write(w, http.StatusOK, page.Page{
		Title: "One step is left", Tone: page.Good,
		Lead:  "Type this in " + bot.ChatName(v.Chat) + ", with the account below, within ten minutes:",
		Word:  o.cfg.Command(v.Chat) + " link " + word,
		Facts: facts,
		Foot:  "Tell the word to nobody. Whoever types it makes what they do in " + bot.ChatName(v.Chat) + " count as yours.",
	})
}

// invited gives what an invitation says, while nobody has taken it.
func (o *Office) invited(ctx context.Context, id string) (*invitation, error) {
	taken, err := o.cfg.Store.Recall(ctx, takenKey(id))
	if err != nil || taken != nil {
		return nil, err
	}
	return o.invitation(ctx, id)
}

// invitation gives what an invitation says; nil where there is none, or it is over.
func (o *Office) invitation(ctx context.Context, id string) (*invitation, error) {
	value, err := o.cfg.Store.Recall(ctx, invitationKey(id))
	if err != nil || value == nil {
		return nil, err
	}
	var v invitation
	if err := json.Unmarshal(value, &v); err != nil || !o.cfg.Now().Before(v.Until) {
		return nil, err
	}
	return &v, nil
}

// over is the page of a link that is worth nothing, or cannot be looked up.
func (o *Office) over(w http.ResponseWriter, err error) {
	if err != nil {
		o.log.Error("a link could not be looked up", "err", err)
		page.NotNow(w, "Elevate cannot reach its store just now")
		return
	}
	page.Write(w, http.StatusGone, page.Page{Title: "This link is over", Tone: page.Bad,
		Lead: "It lasts ten minutes, works once, and goes on in the browser that signed in alone. Type “" + o.cfg.Command("") + " link” in your chat for a new one."})
}

func (o *Office) facts(ctx context.Context, v invitation) []page.Fact {
	account := v.Account
	if name := o.cfg.Name(ctx, v.Chat, v.Account); name != "" {
		account = name + " (" + v.Account + ")"
	}
	return []page.Fact{{Label: "Chat", Value: bot.ChatName(v.Chat)}, {Label: "Account", Value: account}}
}
