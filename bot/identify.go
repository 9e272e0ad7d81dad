package bot

import (
	"context"
	"errors"

	"elevate/workflows"
	"elevate/workflows/access"
)

// identify finds who is talking. Every turn asks the directory again. The error is access.ErrNotFound (wrapped) for an account
// of nobody's, or else a refusal; of the kind access.ErrUnavailable where it could not be found out now.
func (b *Bot) identify(ctx context.Context, who Who) (access.Person, error) {
	p, err := b.cfg.Directory.ByAccount(ctx, who.Chat, who.Account)
	turnedAway := access.Actor{Via: who.Chat, Account: who.Account, Address: who.Address}
	var suspended *access.Refusal
	switch {
	case err == nil:
		return p, nil
	case notFound(err):
		b.log.Info("an account that is linked to nobody was refused", "chat", who.Chat, "account", who.Account)
		b.cfg.TurnedAway(ctx, turnedAway, "unlinked_account")
		return p, err
	case errors.As(err, &suspended):
		b.cfg.TurnedAway(ctx, turnedAway, suspended.Code)
		return p, suspended
	case errors.Is(err, access.ErrStore) && !errors.Is(err, workflows.ErrForged):
		return p, &access.Refusal{Kind: access.ErrUnavailable, Code: "store_unavailable", Err: err, Text: SaysStore}
	}
	return p, &access.Refusal{Kind: access.ErrUnavailable, Code: "directory_unavailable", Err: err,
		Text: "The directory could not be asked who you are, so nothing was done. Try again in a minute."}
}

// person is identify with a card that says what to do where it is not known who is talking.
func (b *Bot) person(ctx context.Context, who Who) (access.Person, *Card) {
	p, err := b.identify(ctx, who)
	if err != nil {
		return p, b.unidentified(err, who)
	}
	return p, nil
}

func (b *Bot) unidentified(err error, who Who) *Card {
	if !notFound(err) {
		return b.sorry(err, who, "directory").Card
	}
	way := say("Ask whoever looks after Elevate here to link your ", Strong(who.Chat), " account ", Mono(clip(oneLine(who.Account), maxName)), " to you in the directory.")
	if b.linking() {
		way = say("Type ", Mono(calling(who.Chat)+" link"), " and sign in to show that it is yours. If you cannot: ", way)
	}
	return &Card{Name: "unknown", Summary: "This account is not linked to anybody in Elevate.", Parts: []Part{
		Text{Spans: say("Elevate does not know whose account this is, so nothing was done.")},
		Text{Spans: way},
	}}
}

// unsure tells an error that refuses nothing: a check could not be made, or something could not be done, just now.
func unsure(err error) bool {
	var one *access.Refusal
	var many access.Problems
	return errors.Is(err, access.ErrUnavailable) || !errors.As(err, &one) && !errors.As(err, &many)
}
