package bottest

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pquerna/otp/totp"

	"elevate/bot"
	"elevate/workflows/access"
	"elevate/workflows/factor"
	"elevate/workflows/seal"
)

const enrolmentURL = "https://elevate.example.com/mfa/"

// Enrolments are an office's second factors. They remember the links that people were given, to follow them without a
// browser.
type Enrolments struct {
	*factor.Factors
	mu    sync.Mutex
	links map[access.PersonID]access.Secret
}

// Begin gives somebody a link.
func (e *Enrolments) Begin(ctx context.Context, by access.Actor, code access.Secret) (access.Secret, error) {
	link, err := e.Factors.Begin(ctx, by, code)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.links[by.Person] = access.NewSecret(strings.TrimPrefix(link.Reveal(), enrolmentURL))
	return link, err
}

// link is the one that a person was given last.
func (e *Enrolments) link(person string) access.Secret {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.links[access.PersonID(person)]
}

func (o *Office) openFactors(t T, chat string) {
	keys := []seal.Key{{ID: "k1", Key: access.NewSecret(base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")))}}
	factors, err := factor.New(factor.Config{
		Store: o.Store, Directory: o.Directory, Keys: keys, PageURL: enrolmentURL, Now: o.Now,
		Administrator: administers, Tell: bot.TellFactor(o.Store, []string{chat}),
	})
	must(t, err)
	o.Factors = &Enrolments{Factors: factors, links: map[access.PersonID]access.Secret{}}
	o.Codes, err = seal.New(keys, "chat")
	must(t, err)
}

func administers(p access.Person) bool { return slices.Contains(p.Groups, "admins") }

func (o *Office) administrators(ctx context.Context) ([]access.Person, error) {
	people, err := o.Directory.People(ctx)
	return slices.DeleteFunc(people, func(p access.Person) bool { return !administers(p) }), err
}

// enrolmentPage follows a person's link, as their browser does, and gives the seed of their new factor and the word of the page.
func (s *scene) enrolmentPage(person string) (seed access.Secret, word string) {
	s.Helper()
	link := s.Factors.link(person)
	shown, err := s.Factors.Show(s.Context(), link, factor.Visit{})
	must(s, err)
	word, err = s.Factors.Match(s.Context(), link, shown.Ticket, access.NewSecret(s.code(shown.Seed)), factor.Visit{})
	must(s, err)
	return shown.Seed, word
}

// code is what a person's app shows now.
func (s *scene) code(seed access.Secret) string {
	s.Helper()
	code, err := totp.GenerateCode(seed.Reveal(), s.Now())
	must(s, err)
	return code
}

// wrong is none of the codes that an app shows about now.
func (s *scene) wrong(seed access.Secret) string {
	s.Helper()
	for _, guess := range []string{"000000", "111111", "222222", "333333"} {
		right := false
		for _, off := range []time.Duration{-30 * time.Second, 0, 30 * time.Second} {
			code, err := totp.GenerateCode(seed.Reveal(), s.Now().Add(off))
			must(s, err)
			right = right || code == guess
		}
		if !right {
			return guess
		}
	}
	s.Fatalf("four codes out of three")
	return ""
}

// enrolled is a person who has set up a second factor, all of it from the chat.
func (s *scene) enrolled(person string) (seed access.Secret) {
	s.Helper()
	s.types(person, "mfa")
	s.offers(s.alone(person, "Set up your second factor", "for you alone"), "Open the page")
	seed, word := s.enrolmentPage(person)
	s.types(person, "mfa "+word)
	s.alone(person, "That is the word")
	s.mail(Root, "A second factor waits for you", "/elevate mfa confirm "+person)
	s.types(Root, "mfa confirm "+person)
	s.alone(Root, "The second factor of")
	s.mail(person, "Your second factor counts")
	s.advance(30 * time.Second) // the page's code is spent
	return seed
}

// toldOf waits until a person alone was told something that others were told of their own factors.
func (s *scene) toldOf(person string, words ...string) {
	s.Helper()
	s.shows("the answer to "+person, func() []Shown { return s.Told(person) }, words...)
}

// withCode fills a code into a person's form and sends it.
func (s *scene) withCode(person, title, code string) {
	s.Helper()
	s.form(person, title, "code")
	s.fills(person, "code", code)
	s.sends(person)
}

// complains waits until a person's form says that the code is wrong, and does not show it again.
func (s *scene) complains(person, code string) {
	s.Helper()
	s.until("the code is complained of", func() bool {
		f := s.Form(person)
		return f != nil && strings.Contains(f.Errors["code"], "does not count")
	}, s.Posted)
	if f := s.Form(person); f.Text+f.Errors["code"] != strings.ReplaceAll(f.Text+f.Errors["code"], code, "") {
		s.Errorf("the form shows the code: %+v", f)
	}
}

// secondFactor: asking and approving take a code of one's own. The chat account alone is not enough.
func secondFactor(s *scene) {
	const safe = "safe-admin 1h fix the replication"
	s.types(Ana, safe)
	s.alone(Ana, "you have none yet", "/elevate mfa")
	anas := s.enrolled(Ana)
	s.types(Ana, safe)
	wrong := s.wrong(anas)
	s.withCode(Ana, "Request access", wrong)
	s.complains(Ana, wrong)
	if n := len(s.Posted()); n != 0 {
		s.Errorf("the request was sent without a code: %d messages", n)
	}
	s.withCode(Ana, "Request access", s.code(anas))
	m := s.channel("Ana Lima (ana) asks for", "Safe admin")

	s.clicks(Leo, m, "Approve")
	s.toldOf(Leo, "you have none yet", "/elevate mfa")
	s.nothingGranted(Ana)
}

// approvedWithCode: an approver's chat account without the factor approves nothing.
func approvedWithCode(s *scene) {
	const safe = "safe-admin 1h fix the replication"
	anas := s.enrolled(Ana)
	s.types(Ana, safe)
	s.withCode(Ana, "Request access", s.code(anas))
	m := s.channel("Ana Lima (ana) asks for", "Safe admin")
	s.types(Lea, "mfa")
	s.toldOf(Lea, "Set up your second factor")
	_, word := s.enrolmentPage(Lea)
	s.types(Lea, "mfa "+word)
	s.mail(Root, "A second factor waits for you", "/elevate mfa confirm lea")
	s.advance(30 * time.Second)

	s.clicks(Lea, m, "Approve") // nobody has confirmed hers yet
	s.toldOf(Lea, "you have none yet")
	first := s.Factors.link(Lea).Reveal()
	s.types(Lea, "mfa new")
	s.until("another link is given out", func() bool { return s.Factors.link(Lea).Reveal() != first }, s.Posted)
	leas, word := s.enrolmentPage(Lea)
	s.types(Lea, "mfa "+word)
	s.mail(Root, "Another second factor waits for you", "ask for the word", "/elevate mfa confirm lea WORD")
	s.mail(Lea, "Another second factor waits for you", "tell an administrator now")
	s.advance(30 * time.Second)
	s.types(Root, "mfa confirm lea")
	s.alone(Root, "another took its place")
	s.types(Root, "mfa confirm lea "+word)
	s.alone(Root, "The second factor of")
	s.mail(Lea, "Your second factor counts")
	s.clicks(Lea, m, "Approve")
	wrong := s.wrong(leas)
	s.withCode(Lea, "Approve request", wrong)
	s.complains(Lea, wrong)
	s.nothingGranted(Ana)
	s.withCode(Lea, "Approve request", s.code(leas))
	s.has(Ana, true)
	m = s.becomes(m, "Active until", "Approved by Lea Berg")
	s.clicks(Lea, m, "Details")
	s.alone(Lea, "Approved by Lea Berg", "with a code of an authenticator app")
}

// uncheckable: where Elevate has nothing to check a code with, as in the playground or without secrets.keys, what takes one
// is neither asked for nor approved.
func uncheckable(s *scene) {
	const safe, said = "safe-admin 1h fix the replication", "a second factor that Elevate cannot check here"
	anas := s.enrolled(Ana)
	s.types(Ana, safe)
	s.withCode(Ana, "Request access", s.code(anas))
	m := s.channel("Ana Lima (ana) asks for", "Safe admin")
	delete(s.checks, access.TOTP)
	s.types(Ben, safe)
	s.toldOf(Ben, said)
	s.clicks(Lea, m, "Approve")
	s.toldOf(Lea, said)
	s.nothingGranted(Ana)
	s.channel("Waiting for approval", "Ana Lima (ana) asks for", "Safe admin")
	if anas := s.records(); len(anas) != 1 || anas[0].State != access.Pending || len(s.below("")) != 1 {
		s.Errorf("after what no code could be checked for: %d messages in the channel, and of Ana's %+v", len(s.below("")), anas)
	}
}
