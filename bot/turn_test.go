package bot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

var (
	asAna = Who{Chat: "web", Account: "ana", Address: "192.0.2.7"}
	asBob = Who{Chat: "web", Account: "bob"}
)

const theID = access.RequestID("07kq4-m2xp9")

// words is all that an answer says.
func words(a Answer) string {
	out := ""
	if a.Card != nil {
		out += asText(*a.Card)
	}
	if a.Form != nil {
		out += formText(a.Form)
	}
	for k, v := range a.Errors {
		out += k + ": " + v + "\n"
	}
	return out
}

func mustSay(t *testing.T, a Answer, wanted ...string) {
	t.Helper()
	got := words(a)
	for _, w := range wanted {
		if !strings.Contains(got, w) {
			t.Errorf("the answer does not say %q:\n%s", w, got)
		}
	}
}

func TestSomebodyUnknownIsToldWhomToAsk(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.records = []*access.Record{request()}
	b := d.bot(t)
	who := Who{Chat: "web", Account: "U0MALLORY"}
	for _, a := range []Answer{
		b.Command(t.Context(), who, "prod-db-admin 1h fix replication"),
		b.Click(t.Context(), who, Click{Action: ActApprove, Request: theID}),
		b.Submit(t.Context(), who, Submission{Form: FormRequest, Values: map[string]string{"role": "prod-db-admin"}}),
		b.Refresh(t.Context(), who, Submission{Form: FormRequest}),
	} {
		mustSay(t, a, "does not know whose account this is", "U0MALLORY", "in the directory")
	}
	if len(d.asked)+len(d.did) > 0 {
		t.Errorf("somebody unknown did %v %v", d.asked, d.did)
	}
}

func TestADirectoryThatIsAwayMeansNo(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.away(errors.New("ldap: timeout"))
	mustSay(t, d.bot(t).Command(t.Context(), asAna, "mine"), "The directory could not be asked who you are", "Try again")
}

// TestAStoreThatIsAwayIsNamed: whoever looks for the fault should not look at the directory.
func TestAStoreThatIsAwayIsNamed(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.away(fmt.Errorf("link of web account: %w: %w", access.ErrStore, errors.New("dial tcp: refused")))
	b := d.bot(t)
	mustSay(t, b.Command(t.Context(), asAna, "mine"), SaysStore)
	if view, excuse := b.View(t.Context(), asAna, theID); view != nil || excuse != SaysStore {
		t.Errorf("a message is shown as %v, with the excuse %q", view, excuse)
	}
	d.away(fmt.Errorf("link of web account: %w: %w", access.ErrStore, workflows.ErrForged))
	mustSay(t, b.Command(t.Context(), asAna, "mine"), "The directory could not be asked")
	d.away(nil)
	d.lost = errors.New("dial tcp: refused")
	if view, excuse := b.View(t.Context(), asAna, theID); view != nil || excuse != SaysStore {
		t.Errorf("a message that could not be read is shown as %v, with the excuse %q", view, excuse)
	}
}

// TestAFormOutlivesACheckThatCannotBeMade: it stays open with what was written, whichever form it is.
func TestAFormOutlivesACheckThatCannotBeMade(t *testing.T) {
	t.Parallel()
	unsure := &access.Refusal{Kind: access.ErrUnavailable, Code: "check_failed", Text: "A check could not be made, try `again`."}
	broken := errors.New("dial tcp: refused")
	for _, c := range []struct {
		form  FormName
		field string
		// forms about second factors ask nobody here
		alone bool
	}{{FormRequest, "role", false}, {FormDeny, "reason", false}, {FormExtend, "duration", false}, {FormApprove, InputCode, false}, {FormReset, InputCode, true}} {
		values := map[string]string{"role": "prod-db-admin", "duration": "1h", "justification": "fix replication", "ticket": "INC-1", "reason": "not now", "for": "bob", InputCode: "123456"}
		s := Filled(c.form, theID, values)
		for says, set := range map[string]func(*desk){
			"could not be asked who you are": func(d *desk) { d.away(errors.New("ldap: timeout")) },
			SaysStore:                        func(d *desk) { d.away(access.ErrStore) },
			"try again.":                     func(d *desk) { d.fail = unsure },
			"Something went wrong (ref ":     func(d *desk) { d.fail = broken },
		} {
			d := newDesk()
			d.records = []*access.Record{request()}
			set(d)
			if c.alone && d.fail != nil {
				continue
			}
			a := d.bot(t).Submit(t.Context(), asBob, s)
			if a.Card != nil || a.Form != nil || len(a.Errors) != 1 || !strings.Contains(a.Errors[c.field], says) {
				t.Errorf("%s: answered %s, want at %s: %s", c.form, words(a), c.field, says)
			}
		}
		bare := Bare(s)
		if bare.Name != c.form || bare.Title == "" || bare.Submit == "" || len(bare.Inputs) == 0 {
			t.Errorf("%s without asking anybody is %s", c.form, formText(bare))
		}
		if c.form != FormRequest && bare.Inputs[len(bare.Inputs)-1].Name != c.field {
			t.Errorf("%s without asking anybody asks for %s", c.form, bare.Inputs[len(bare.Inputs)-1].Name)
		}
	}
}

func TestARequestIsMadeInOneLine(t *testing.T) {
	t.Parallel()
	d := newDesk()
	b, err := New(Config{Service: d, Directory: d, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	a := b.Command(t.Context(), asAna, "prod-db-admin 2h INC-4711 fix replication")
	mustSay(t, a, "Request sent", "@Bob Stone and @Carol Díaz can approve it", "No access has been granted yet")
	want := workflows.Ask{Role: "prod-db-admin", Duration: 2 * time.Hour, Justification: "fix replication", Ticket: "INC-4711"}
	if len(d.asked) != 1 || d.asked[0] != want {
		t.Errorf("asked %+v, want %+v", d.asked, want)
	}
	if by := d.records[0].By; by != (access.Actor{Person: "ana", Via: "web", Account: "ana", Address: "192.0.2.7"}) {
		t.Errorf("asked by %+v", by)
	}
}

func TestTheSameRequestTwiceIsOne(t *testing.T) {
	t.Parallel()
	d := newDesk()
	b := d.bot(t)
	for range 3 {
		mustSay(t, b.Command(t.Context(), asAna, "prod-db-admin 1h INC-4711 fix replication"), "Request sent", string(theID))
	}
	if len(d.asked) != 1 {
		t.Errorf("asked %d times", len(d.asked))
	}
	b.Command(t.Context(), asAna, "prod-db-admin 1h INC-4711 fix something else")
	if len(d.asked) != 2 {
		t.Errorf("another request was taken for the same: asked %d times", len(d.asked))
	}
}

func TestWhatIsMissingOrWrongOpensTheFormFilledIn(t *testing.T) {
	t.Parallel()
	invalid := access.Problems{
		{Kind: access.ErrInvalid, Code: "too_long", Field: "duration", Text: "The policy allows `4h` at most."},
		{Kind: access.ErrInvalid, Code: "no_ticket", Field: "ticket", Text: "A ticket is needed."},
	}
	for _, c := range []struct {
		text  string
		fail  error
		wants []string
	}{
		{"prod-db-admin", nil, []string{"Say why you need it", "* Production database admin"}},
		{"prod-db-admin 0m fix replication", nil, []string{"needs some time", "| fix replication"}},
		{"prod-db-admin 9h fix replication", invalid, []string{"The policy allows 4h at most.", "A ticket is needed.", "| fix replication", "* 1 hour"}},
		{"prod-db-admn 30m fix replication", nil, []string{"There is no role “prod-db-admn”", "`prod-db-admin`", "| fix replication", "| 30m"}},
		{"zzz 30m fix replication", nil, []string{"There is no role “zzz”. Choose one."}},
	} {
		d := newDesk()
		d.fail = c.fail
		a := d.bot(t).Command(t.Context(), asAna, c.text)
		if a.Form == nil {
			t.Errorf("%s: no form:\n%s", c.text, words(a))
			continue
		}
		mustSay(t, a, c.wants...)
	}
}

func TestUnknownWordsAreAnsweredWithWhatWasMeant(t *testing.T) {
	t.Parallel()
	b := newDesk().bot(t)
	for text, wants := range map[string][]string{
		"hlep":                    {"There is no role or command “hlep”", "`/elevate help`"},
		"mien":                    {"`/elevate mine`"},
		"extnd":                   {"`/elevate extend`"},
		"staging-db-adnim":        {"Did you mean `staging-db-admin`?"},
		"prod-db":                 {"There is no role or command “prod-db”. Did you mean `prod-db-admin`?"},
		"xyzzy":                   {"There is no role or command “xyzzy”", "`/elevate roles`", "`/elevate help`"},
		"review":                  {"Reviews are not part of this version"},
		"mfa":                     {"Second factors are not set up here"},
		"show":                    {"Which request?", "/elevate show ID"},
		"end prod-db-admin":       {"“prod-db-admin” is not the id of a request"},
		"show 07kq4-00000":        {"There is no request 07kq4-00000"},
		strings.Repeat("ü", 5000): {"There is no role or command"},
	} {
		mustSay(t, b.Command(t.Context(), asAna, text), wants...)
	}
}

func TestARoleThatIsNotForThePersonIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.offers[0].Eligible = false
	mustSay(t, d.bot(t).Command(t.Context(), asAna, "prod-db-admin 1h fix replication"), "You may not request", "/elevate roles")
	if len(d.asked) != 0 {
		t.Error("asked all the same")
	}
}

func TestCommandsWithAnIDDoWhatTheySay(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		r         *access.Record
		did, says string
	}{
		"show 07kq4-m2xp9":           {request(), "", "# What happened"},
		"07kq4-m2xp9":                {request(), "", "# What happened"},
		"approve 07kq4-m2xp9":        {request(), "", "Decide with the buttons"},
		"cancel 07kq4 m2xp9":         {in(access.Cancelled), "cancel 07kq4-m2xp9", "is cancelled. No access was granted"},
		"end 07kq4-m2xp9 all done":   {in(access.Deactivating), "end all done 07kq4-m2xp9", "being taken away"},
		"end 07kq4-m2xp9":            {in(access.Cancelled), "end  07kq4-m2xp9", "had not begun and is cancelled"},
		"extend 07kq4-m2xp9 30m":     {in(access.Active), "extend 30m0s 07kq4-m2xp9", "Extended by 30 minutes: it now lasts until <23 Nov 12:56>"},
		"extend 07kq4-m2xp9 a while": {in(access.Active), "", "How much longer?"},
	} {
		d := newDesk()
		d.records, d.may = []*access.Record{want.r}, workflows.May{Decide: true}
		mustSay(t, d.bot(t).Command(t.Context(), asAna, text), want.says)
		if got := strings.Join(d.did, ";"); got != want.did {
			t.Errorf("%s: did %q, want %q", text, got, want.did)
		}
	}
	d := newDesk()
	d.records = []*access.Record{request()}
	if a := d.bot(t).Command(t.Context(), asAna, "approve 07kq4-m2xp9"); strings.Contains(words(a), "with the buttons") {
		t.Errorf("whoever may not decide is sent to buttons that are not there:\n%s", words(a))
	}
}

// TestRequestAgainIsForWhoeverWouldGetIt: the form asks for oneself.
func TestRequestAgainIsForWhoeverWouldGetIt(t *testing.T) {
	t.Parallel()
	again := func(c Card) bool { return strings.Contains(asText(c), "Request again…") }
	d := newDesk()
	r := in(access.Denied, func(r *access.Record) { r.Person = "carol" })
	b := d.bot(t)
	for _, m := range messagesOf(t, b, noteOf(workflows.NoteDenied, r), r, nil) {
		if m.To.Person != "" && again(m.Card) != (m.To.Person == "carol") {
			t.Errorf("%s is shown\n%s", m.To.Person, asText(m.Card))
		}
	}
	for reader, want := range map[access.PersonID]bool{"ana": false, "carol": true, "bob": false} {
		if got := len(b.look(t.Context(), r).againButtons(reader)) > 0; got != want {
			t.Errorf("%s may ask again: %t", reader, got)
		}
	}
}

func TestClicks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		click     Click
		r         *access.Record
		did, says string
	}{
		"approve on the message": {Click{Action: ActApprove, Request: theID, Message: "C1/1.2"}, in(access.Approved), "approve  07kq4-m2xp9", ""},
		"approve elsewhere":      {Click{Action: ActApprove, Request: theID}, in(access.Approved), "approve  07kq4-m2xp9", "You approved. **Approved** by @Bob Stone"},
		"deny":                   {Click{Action: ActDeny, Request: theID}, request(), "", "Why not?"},
		"details":                {Click{Action: ActDetails, Request: theID}, request(), "", "# What happened"},
		"cancel":                 {Click{Action: ActCancel, Request: theID}, in(access.Cancelled), "cancel 07kq4-m2xp9", "is cancelled"},
		"cancel, too late":       {Click{Action: ActCancel, Request: theID}, in(access.Deactivating), "cancel 07kq4-m2xp9", "is being taken back"},
		"end":                    {Click{Action: ActEnd, Request: theID}, in(access.Deactivating), "end  07kq4-m2xp9", "being taken away"},
		"extend":                 {Click{Action: ActExtend, Request: theID}, in(access.Active), "", "How much longer?"},
		"extend, too late":       {Click{Action: ActExtend, Request: theID}, in(access.Ended), "", "Only active access can be extended"},
		"request":                {Click{Action: ActRequest}, nil, "", "Request access"},
		"again":                  {Click{Action: ActAgain, Request: theID}, in(access.Ended), "", "| fix replication"},
		"a button of tomorrow":   {Click{Action: "review", Request: theID}, request(), "", "another version"},
		"no id":                  {Click{Action: ActApprove, Request: "x"}, nil, "", "no longer works"},
		"no such request":        {Click{Action: ActDetails, Request: "07kq4-00000"}, nil, "", "There is no request 07kq4-00000"},
	} {
		d := newDesk()
		d.may = workflows.May{Decide: true}
		if c.r != nil {
			d.records = []*access.Record{c.r}
		}
		a := d.bot(t).Click(t.Context(), asBob, c.click)
		mustSay(t, a, c.says)
		if c.says == "" && (a.Card != nil || a.Form != nil) {
			t.Errorf("%s: the message shows it already, and the answer says it again:\n%s", name, words(a))
		}
		if got := strings.Join(d.did, ";"); got != c.did {
			t.Errorf("%s: did %q, want %q", name, got, c.did)
		}
	}
}

func TestAStaleClickIsToldWhoWasFirst(t *testing.T) {
	t.Parallel()
	conflict := &access.Refusal{Kind: access.ErrConflict, Code: "already_settled", Text: "It is settled."}
	for state, wants := range map[string][]string{
		"active":          {"Already approved by @Bob Stone at <11:55>"},
		"denied":          {"Already denied by @Bob Stone at <11:59>"},
		"cancelled":       {"Already cancelled by @Ana Lima at <11:59>"},
		"lapsed":          {"This request lapsed at <11:59>: nobody decided in time. @Ana Lima can ask again"},
		"ended":           {"This access has ended already. Removed at"},
		"failed":          {"This request failed at"},
		"deactivating":    {"being taken away already"},
		"lapsed_approved": {"approved, but could not be started"},
	} {
		d := newDesk()
		d.fail, d.records = conflict, []*access.Record{states()[state]}
		b := d.bot(t)
		mustSay(t, b.Click(t.Context(), asBob, Click{Action: ActApprove, Request: theID, Message: "m"}), wants...)
		if state != "active" && state != "deactivating" {
			mustSay(t, b.Click(t.Context(), asBob, Click{Action: ActCancel, Request: theID}), wants...)
		}
		mustSay(t, b.Submit(t.Context(), asBob, Submission{Form: FormDeny, Request: theID, Values: map[string]string{"reason": "no"}}), wants...)
		mustSay(t, b.Click(t.Context(), asBob, Click{Action: ActDeny, Request: theID}), wants...)
	}
}

func TestARefusalIsShownInItsOwnWords(t *testing.T) {
	t.Parallel()
	own := &access.Refusal{Kind: access.ErrNotAllowed, Code: "own_request", Text: "You asked for this yourself. Use `/elevate cancel 07kq4-m2xp9` to take it back."}
	d := newDesk()
	d.fail, d.records, d.may = own, []*access.Record{request()}, workflows.May{Why: own}
	b := d.bot(t)
	want := "You asked for this yourself. Use `/elevate cancel 07kq4-m2xp9` to take it back."
	mustSay(t, b.Click(t.Context(), asAna, Click{Action: ActApprove, Request: theID, Message: "m"}), want)
	mustSay(t, b.Click(t.Context(), asAna, Click{Action: ActDeny, Request: theID, Message: "m"}), want)
	d.may = workflows.May{}
	mustSay(t, b.Click(t.Context(), asAna, Click{Action: ActDeny, Request: theID, Message: "m"}), "The policy decides this request by itself")
}

func TestAnAccountLinkedToNobodyIsTurnedAwayOnRecord(t *testing.T) {
	t.Parallel()
	d := newDesk()
	var turned []string
	b, err := New(Config{Service: d, Directory: d, TurnedAway: func(_ context.Context, by access.Actor, code string) {
		turned = append(turned, by.Via+" "+by.Account+" "+code)
	}})
	if err != nil {
		t.Fatal(err)
	}
	mustSay(t, b.Command(t.Context(), Who{Chat: "slack", Account: "U0NOBODY"}, "mine"), "does not know whose account this is")
	if want := []string{"slack U0NOBODY unlinked_account"}; !slices.Equal(turned, want) {
		t.Errorf("turned away on record: %q, want %q", turned, want)
	}
}

func TestSomethingWrongIsOnlyAReferenceToPeople(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	d := newDesk()
	d.fail, d.records = errors.New("dial tcp 10.0.0.1:6379: i/o timeout"), []*access.Record{request()}
	b, err := New(Config{Service: d, Directory: d, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	a := b.Click(t.Context(), asBob, Click{Action: ActApprove, Request: theID})
	mustSay(t, a, "Something went wrong (ref ")
	_, after, _ := strings.Cut(words(a), "(ref ")
	ref, _, _ := strings.Cut(after, ")")
	if !strings.Contains(log.String(), "ref="+ref) || !strings.Contains(log.String(), "i/o timeout") {
		t.Errorf("the log knows nothing of ref %q: %s", ref, log.String())
	}
	if strings.Contains(words(a), "10.0.0.1") {
		t.Errorf("the answer gives away the inside: %s", words(a))
	}
	if strings.Count(log.String(), "level=ERROR") != 1 {
		t.Errorf("one thing went wrong, and the log has it more than once: %s", log.String())
	}
}

func TestTheRequestForm(t *testing.T) {
	t.Parallel()
	good := map[string]string{"role": "prod-db-admin", "duration": "2h", "justification": "fix replication", "ticket": "INC-4711"}
	with := func(k, v string) map[string]string {
		out := map[string]string{}
		for key, value := range good {
			out[key] = value
		}
		out[k] = v
		return out
	}
	unknown := errors.New("store: down")
	for name, c := range map[string]struct {
		values map[string]string
		fail   error
		errors map[string]string // field → part of its text
	}{
		"good":            {values: good},
		"no role":         {values: with("role", ""), errors: map[string]string{"role": "Choose a role"}},
		"no duration":     {values: with("duration", "soon"), errors: map[string]string{"duration": "1h30m"}},
		"no reason":       {values: with("justification", " \n "), errors: map[string]string{"justification": "Say why"}},
		"several":         {values: map[string]string{"duration": "x"}, errors: map[string]string{"role": "Choose", "duration": "Write", "justification": "Say"}},
		"invalid":         {values: good, fail: &access.Refusal{Kind: access.ErrInvalid, Field: "ticket", Text: "Write `INC-1`."}, errors: map[string]string{"ticket": "Write INC-1."}},
		"several invalid": {values: good, fail: access.Problems{{Kind: access.ErrInvalid, Field: "ticket", Text: "T."}, {Kind: access.ErrInvalid, Field: "start", Text: "S."}}, errors: map[string]string{"ticket": "T.", "role": "S."}},
		"not eligible":    {values: good, fail: &access.Refusal{Kind: access.ErrNotAllowed, Field: "role", Text: "Not for you."}, errors: map[string]string{"role": "Not for you."}},
		"pending already": {values: good, fail: &access.Refusal{Kind: access.ErrConflict, Field: "role", Text: "Waiting already."}, errors: map[string]string{"role": "Waiting already."}},
		"store down":      {values: good, fail: unknown, errors: map[string]string{"role": "Something went wrong"}},
	} {
		d := newDesk()
		d.fail = c.fail
		a := d.bot(t).Submit(t.Context(), asAna, Submission{Form: FormRequest, Values: c.values})
		if len(a.Errors) != len(c.errors) {
			t.Errorf("%s: errors %v, want %v", name, a.Errors, c.errors)
		}
		for field, text := range c.errors {
			if !strings.Contains(a.Errors[field], text) {
				t.Errorf("%s: at %s it says %q, want %q", name, field, a.Errors[field], text)
			}
		}
		if len(c.errors) == 0 {
			mustSay(t, a, "Request sent")
		}
	}
}

func TestTheFormFollowsTheRole(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.offers[1].TicketPattern, d.offers[1].Max = "", 30*time.Minute
	b := d.bot(t)
	values := map[string]string{"role": "staging-db-admin", "duration": "2h", "justification": "fix <b>", "ticket": "INC-1"}
	a := b.Refresh(t.Context(), asAna, Submission{Form: FormRequest, Values: values})
	mustSay(t, a, "* Staging database admin", "The policy allows up to 30 minutes", "| fix <b>")
	if strings.Contains(words(a), "Ticket") {
		t.Errorf("a ticket is asked for that the policy does not want:\n%s", words(a))
	}
	values["role"] = "gone"
	mustSay(t, b.Refresh(t.Context(), asAna, Submission{Form: FormRequest, Values: values}), "no longer in the catalogue", "| fix <b>")
	values["role"], values["duration"] = "", "a while"
	mustSay(t, b.Refresh(t.Context(), asAna, Submission{Form: FormRequest, Values: values}), "| a while", "| fix <b>")
	mustSay(t, b.Refresh(t.Context(), asAna, Submission{Form: "review"}), "another version")
	mustSay(t, b.Submit(t.Context(), asAna, Submission{Form: "review"}), "another version")
}

func TestTheFormsOfApproversAndHolders(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.records = []*access.Record{in(access.Active)}
	b := d.bot(t)
	deny := func(reason string) Answer {
		return b.Submit(t.Context(), asBob, Submission{Form: FormDeny, Request: theID, Values: map[string]string{"reason": reason}})
	}
	extend := func(d string) Answer {
		return b.Submit(t.Context(), asAna, Submission{Form: FormExtend, Request: theID, Values: map[string]string{"duration": d}})
	}
	if a := deny(" "); !strings.Contains(a.Errors["reason"], "Say why not") {
		t.Errorf("a denial without a reason: %s", words(a))
	}
	mustSay(t, deny("not now"), "is denied. No access was granted.")
	if a := extend("soon"); !strings.Contains(a.Errors["duration"], "30m") {
		t.Errorf("an extension by nothing: %s", words(a))
	}
	mustSay(t, extend("30m"), "Extended by 30 minutes")
	if got := strings.Join(d.did, ";"); got != "deny not now 07kq4-m2xp9;extend 30m0s 07kq4-m2xp9" {
		t.Errorf("did %q", got)
	}
	d.fail = &access.Refusal{Kind: access.ErrInvalid, Code: "too_long", Field: "duration", Text: "10m at most."}
	if a := extend("30m"); a.Errors["duration"] != "10m at most." {
		t.Errorf("too long: %s", words(a))
	}
	d.fail = &access.Refusal{Kind: access.ErrNotAllowed, Code: "not_yours", Text: "Only Ana can."}
	mustSay(t, extend("30m"), "Only Ana can.")
	d.fail = nil
	d.may.Room = 20*time.Minute + 400*time.Millisecond
	form := b.Click(t.Context(), asAna, Click{Action: ActExtend, Request: theID}).Form
	if got := form.Inputs[0].Options; len(got) != 2 || got[0].Value != "15m" || got[1].Value != "20m" {
		t.Errorf("with room for 20 minutes the form offers %v", got)
	}
	d.offers[0].Max = 0
	mustSay(t, b.Click(t.Context(), asAna, Click{Action: ActExtend, Request: theID}), "leaves no time to extend")
}

func TestABotNeedsItsParts(t *testing.T) {
	t.Parallel()
	d := newDesk()
	for _, cfg := range []Config{{}, {Service: d}, {Directory: d}} {
		if _, err := New(cfg); err == nil {
			t.Errorf("New(%+v) made a bot", cfg)
		}
	}
	b, err := New(Config{Service: d, Directory: d})
	if err != nil {
		t.Fatal(err)
	}
	if b.cfg.Channel("p", "web") != "" || b.now().IsZero() || b.cfg.Location != time.UTC {
		t.Error("the defaults are not as they are documented")
	}
	if b.log.Enabled(context.Background(), slog.LevelError) {
		t.Error("a bot without a logger logs")
	}
}
