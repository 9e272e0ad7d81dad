package workflows_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/policy"
)

// codes is a second factor that knows one code for each person and takes it as often as it is asked to.
type codes struct{ acts []access.Act }

func (c *codes) Prove(_ context.Context, by access.Actor, act access.Act, proof access.Secret) error {
	switch proof.Reveal() {
	case "":
		return &access.Refusal{Kind: access.ErrInvalid, Code: access.CodeProofMissing}
	case "code of " + string(by.Person):
		c.acts = append(c.acts, act)
		return nil
	}
	return &access.Refusal{Kind: access.ErrInvalid, Code: access.CodeProofWrong}
}

func codeOf(p access.PersonID) access.Secret { return access.NewSecret("code of " + string(p)) }

// asking makes the policies ask for a second factor.
func asking(t *testing.T, s policy.StepUp) *policy.Set {
	t.Helper()
	roles, rules := catalogue()
	for i := range rules {
		rules[i].StepUp = s
	}
	set, problems := policy.Compile(rules, roles)
	if set == nil {
		t.Fatal(problems)
	}
	return set
}

func code(err error) string {
	var r *access.Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}

func TestAskingApprovingAndExtendingTakeTheFactorThatThePolicyNames(t *testing.T) {
	t.Parallel()
	factor := &codes{}
	w := newWorld(t, func(c *workflows.Config) {
		c.Policies = asking(t, policy.StepUp{Request: access.TOTP, Approve: access.TOTP})
		c.Factors = map[access.Method]workflows.Factor{access.TOTP: factor}
	})
	w.run()
	ask := workflows.Ask{Role: "db-admin", Duration: time.Hour, Justification: "fix the replication"}
	if _, err := w.service.Submit(t.Context(), by("ana"), ask); !access.AsksProof(err) {
		t.Errorf("asked without a code: %v", err)
	}
	ask.Proof = codeOf("lea")
	if _, err := w.service.Submit(t.Context(), by("ana"), ask); code(err) != access.CodeProofWrong {
		t.Errorf("asked with somebody else's: %v", err)
	}
	ask.Proof = codeOf("ana")
	rec, err := w.service.Submit(t.Context(), by("ana"), ask)
	if err != nil || rec.Method != access.TOTP {
		t.Fatalf("asked with a code: %v", err)
	}
	decide := func(who access.PersonID, proof access.Secret) error {
		_, err := w.service.Decide(t.Context(), by(who), rec.ID, workflows.Decision{Verdict: access.Approve, Proof: proof})
		return err
	}
	if err := decide("lea", access.Secret{}); !access.AsksProof(err) {
		t.Errorf("approved without a code: %v", err)
	}
	if err := decide("ana", codeOf("ana")); code(err) != policy.CodeSelfApproval {
		t.Errorf("approved by the requester, with a code: %v", err)
	}
	if n := len(factor.acts); n != 1 {
		t.Errorf("%d codes were looked at; whoever may not approve must not get to try one", n)
	}
	if err := decide("lea", codeOf("lea")); err != nil {
		t.Fatal(err)
	}
	rec = w.reaches(rec.ID, access.Active)
	want := access.Act{Verb: "approve", Request: rec.ID, Subject: rec.Digest()}
	if d := rec.Decisions[0]; d.Method != "totp" || d.Act != want.Digest() || !slices.Contains(factor.acts, want) {
		t.Errorf("decision %+v, acts %+v", d, factor.acts)
	}
	if _, err := w.service.Extend(t.Context(), by("ana"), rec.ID, time.Hour, access.Secret{}); !access.AsksProof(err) {
		t.Errorf("extended without a code: %v", err)
	}
	rec, err = w.service.Extend(t.Context(), by("ana"), rec.ID, time.Hour, codeOf("ana"))
	if err != nil || rec.Extensions[0].Method != access.TOTP {
		t.Errorf("extended with a code: %v", err)
	}
	if _, err := w.service.End(t.Context(), by("ana"), rec.ID, ""); err != nil {
		t.Errorf("ending takes no code: %v", err)
	}
}

// A policy that asks for less since the request was made does not count, and one that asks for more does.
func TestTheStricterPolicyDecidesWhichFactorAnApprovalTakes(t *testing.T) {
	t.Parallel()
	lax, strict := asking(t, policy.StepUp{}), asking(t, policy.StepUp{Approve: access.TOTP})
	for name, c := range map[string]struct{ then, now *policy.Set }{"loosened": {strict, lax}, "tightened": {lax, strict}} {
		w := newWorld(t, func(cfg *workflows.Config) {
			cfg.Policies, cfg.Factors = c.then, map[access.Method]workflows.Factor{access.TOTP: &codes{}}
		})
		rec, err := w.service.Submit(t.Context(), by("ana"), workflows.Ask{Role: "db-admin", Duration: time.Hour, Justification: "fix the replication"})
		if err != nil {
			t.Fatal(err)
		}
		w.config.Policies = c.now
		later, err := workflows.New(w.config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := later.Decide(t.Context(), by("lea"), rec.ID, workflows.Decision{Verdict: access.Approve}); !access.AsksProof(err) {
			t.Errorf("%s: approved without a code: %v", name, err)
		}
		if _, err := later.Decide(t.Context(), by("lea"), rec.ID, workflows.Decision{Verdict: access.Deny, Reason: "no"}); err != nil {
			t.Errorf("%s: denying takes no code: %v", name, err)
		}
	}
}

func TestAFactorThatCannotBeCheckedRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *workflows.Config) { c.Policies = asking(t, policy.StepUp{Request: access.TOTP}) })
	_, err := w.service.Submit(t.Context(), by("ana"), workflows.Ask{Role: "db-admin", Duration: time.Hour, Justification: "fix the replication", Proof: codeOf("ana")})
	if !errors.Is(err, access.ErrUnavailable) || code(err) != "factor_unavailable" {
		t.Errorf("asked where no factor is configured: %v", err)
	}
}

// A code is good for one act: one that is refused for another reason must not cost it, nor take a place.
func TestACodeIsSpentWhenNothingElseRefuses(t *testing.T) {
	t.Parallel()
	factor := &codes{}
	w := newWorld(t, func(c *workflows.Config) {
		c.Policies = asking(t, policy.StepUp{Request: access.TOTP})
		c.Factors = map[access.Method]workflows.Factor{access.TOTP: factor}
		c.Limits.Pending = 1
	})
	ask := func(role access.RoleID, proof access.Secret) error {
		_, err := w.service.Submit(t.Context(), by("ana"), workflows.Ask{Role: role, Duration: time.Hour, Justification: "fix the replication", Proof: proof})
		return err
	}
	for _, proof := range []access.Secret{{}, codeOf("lea")} {
		if err := ask("db-admin", proof); err == nil {
			t.Fatal("asked without a code of one's own")
		}
	}
	if err := ask("db-admin", codeOf("ana")); err != nil {
		t.Fatalf("those that had no code have taken the only place: %v", err)
	}
	for _, proof := range []access.Secret{codeOf("ana"), {}} {
		refusedWith(t, ask("db-owner", proof), access.ErrLimited, "too_many_pending")
	}
	if n := len(factor.acts); n != 1 {
		t.Errorf("%d codes were spent on one request", n)
	}
}
