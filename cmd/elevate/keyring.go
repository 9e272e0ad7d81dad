package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"elevate/workflows/seal"
)

const (
	keysTopic = "keys"
	// presentFor is how long a replica's word of its keys counts: one that is silent for longer is gone.
	presentFor = 2 * time.Minute
)

// keyholder is what a replica tells the others of its keys, so that none of them marks with one that another would take for
// somebody else's. Whoever has one of its keys can see that it is true.
type keyholder struct {
	Replica string   `json:"replica"`
	Leads   string   `json:"leads"` // the id of the key that it marks with
	Knows   []string `json:"knows"`
}

// signed is a keyholder's word and its marks, by each of its keys.
type signed struct {
	Word  string   `json:"word"`
	Marks []string `json:"marks"`
}

// tell gives a keyholder's word as the store has it.
func (k keyholder) tell(m *seal.Marker) (string, error) {
	word, err := json.Marshal(k)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(signed{string(word), m.Marks(keysTopic, word)})
	return string(text), err
}

// heard reads what replicas told; what no key here vouches for is nobody's word.
func heard(texts []string, m *seal.Marker) []keyholder {
	var all []keyholder
	for _, text := range texts {
		var s signed
		var k keyholder
		if json.Unmarshal([]byte(text), &s) != nil ||
			!slices.ContainsFunc(s.Marks, func(mark string) bool { return m.Vouches(keysTopic, mark, []byte(s.Word)) }) ||
			json.Unmarshal([]byte(s.Word), &k) != nil {
			continue
		}
		all = append(all, k)
	}
	return all
}

// leader is the first key of ours that all others know, so that they believe what it marks. The error is that another one
// marks with a key that is missing here.
func leader(ours []string, others []keyholder) (string, error) {
	for _, o := range others {
		if !slices.Contains(ours, o.Leads) {
			return "", fmt.Errorf("a running replica (%s) marks with key %s, which is missing here: add it behind the others, or stop that replica; one that was killed counts for %s more",
				o.Replica, o.Leads, presentFor)
		}
	}
	for _, id := range ours {
		if !slices.ContainsFunc(others, func(o keyholder) bool { return !slices.Contains(o.Knows, id) }) {
			return id, nil
		}
	}
	return "", errors.New("no key here is known to all running replicas: give all of them the same keys")
}

// meet tells the other replicas of the keys here, and has the first one mark that all of them know. That is settled until
// the next start.
func (a *app) meet(ctx context.Context) error {
	if a.marks == nil {
		return nil
	}
	var ours []string
	for _, k := range a.cfg.Secrets.Keys {
		ours = append(ours, k.ID)
	}
	a.holder = keyholder{Replica: replica(), Leads: ours[0], Knows: ours}
	others, err := a.present(ctx)
	if err != nil {
		return err
	}
	lead, err := leader(ours, others)
	if err != nil {
		return fmt.Errorf("secrets.keys: %w", err)
	}
	if lead == ours[0] {
		return nil
	}
	a.log.Warn("a running replica does not know the first of secrets.keys yet, so another one marks until the next start here; give it the same keys",
		"first", ours[0], "marks", lead)
	a.leave(ctx)
	a.holder.Leads = lead
	a.marks.Lead(lead)
	keys, i := a.cfg.Secrets.Keys, slices.Index(ours, lead)
	a.cfg.Secrets.Keys = slices.Concat(keys[i:i+1], keys[:i], keys[i+1:])
	_, err = a.present(ctx)
	return err
}

// present tells the others that this replica is there, and gives what they told.
func (a *app) present(ctx context.Context) ([]keyholder, error) {
	text, err := a.holder.tell(a.marks)
	if err != nil {
		return nil, err
	}
	texts, err := a.store.Present(ctx, keysTopic, text, presentFor)
	if err != nil {
		return nil, fmt.Errorf("tell the other replicas of the keys: %w", err)
	}
	others := heard(texts, a.marks)
	return slices.DeleteFunc(others, func(k keyholder) bool { return k.Replica == a.holder.Replica }), nil
}

// stayPresent does so until ctx ends.
func (a *app) stayPresent(ctx context.Context) error {
	tick := time.NewTicker(presentFor / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		others, err := a.present(ctx)
		if err == nil {
			_, err = leader(a.holder.Knows, others)
		}
		if err != nil && ctx.Err() == nil {
			a.log.ErrorContext(ctx, "replicas may not believe what each other writes; give all of them the same secrets.keys", "err", err)
		}
	}
}

// leave takes this replica's word back; without that it counts for a while.
func (a *app) leave(ctx context.Context) {
	if a.holder.Replica == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	text, err := a.holder.tell(a.marks)
	if err == nil {
		err = a.store.Vacate(ctx, keysTopic, text)
	}
	if err != nil {
		a.log.WarnContext(ctx, "the other replicas were not told that this one leaves; it counts for them for a while", "err", err)
	}
}
