package teams

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"elevate/bot"
	"elevate/workflows"
)

// rememberedFor is how long an act is known to have been answered. The token of an activity is good for an hour.
const rememberedFor = 2 * time.Hour

// act is what somebody did, as it is recorded before it is acknowledged: words that they typed, or a button.
type act struct {
	Key   string `json:"key"`
	Words string `json:"words,omitempty"`
	Press *press `json:"press,omitempty"` // instead of Words
	Spot  spot   `json:"spot"`
}

// spot is where a person acted: what it takes to answer there, for nobody else to see.
type spot struct {
	place
	Account  string `json:"account"`           // object id
	User     string `json:"user"`              // 29:…
	Message  string `json:"message,omitempty"` // that was pressed
	Personal bool   `json:"personal,omitempty"`
	// Targeted says that the bot alone saw what the person typed, so that the service knows how to answer them alone.
	Targeted bool `json:"targeted,omitempty"`
}

func (in incoming) spot() spot {
	return spot{
		place: place{Service: in.ServiceURL, Conversation: in.Conversation.ID}, Account: in.account(), User: in.From.ID,
		Message: in.ReplyTo, Personal: in.personal(), Targeted: in.Recipient.Targeted,
	}
}

func (s spot) who() bot.Who { return bot.Who{Chat: Name, Account: s.Account} }

// typed is what an activity's words say.
func typed(in incoming) act {
	return act{Key: actKey(in.account(), in.Conversation.ID, in.ID), Words: in.words(), Spot: in.spot()}
}

// pressed is what an activity's button says. What a form sends is named by what was filled in: the same form with the
// same words is the same act, also where a client sends it again as an activity of its own.
func pressed(in incoming, p press) act {
	parts := []string{in.account(), in.Conversation.ID, in.ID}
	if p.Kind == pressSend {
		parts = []string{in.account(), string(p.Form), string(p.Request), p.Nonce}
		for _, name := range slices.Sorted(maps.Keys(p.Values)) {
			parts = append(parts, name, p.Values[name])
		}
	}
	return act{Key: actKey(parts...), Press: &p, Spot: in.spot()}
}

// actKey names what a person did, however often Teams delivers it.
func actKey(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return "teams:act:" + hex.EncodeToString(sum[:16])
}

// record puts an act into the inbox; fresh is false where it was there already. The sentence is for a person whose act
// could not be recorded.
func (t *Teams) record(ctx context.Context, a act) (fresh bool, says string) {
	body, err := json.Marshal(t.sealed(a))
	box, worker := askBox, t.asks
	if a.urgent() {
		box, worker = Name, t.worker
	}
	if err == nil {
		fresh, err = t.cfg.Store.Deliver(ctx, workflows.Delivery{Key: a.Key, Chat: box, Payload: body})
	}
	if err == nil {
		worker.Nudge()
		return fresh, ""
	}
	t.log.Error("what a person did could not be recorded", "account", a.Spot.Account, "err", err)
	if late := net.Error(nil); errors.As(err, &late) && late.Timeout() {
		return false, saysUnsure // the store may have it all the same
	}
	return false, bot.SaysStore
}

// sealed is an act as it may lie in the store: a code in it is sealed, for this act alone.
func (t *Teams) sealed(a act) act {
	if a.Press == nil || a.Press.Code.IsZero() || t.cfg.Codes == nil {
		return a
	}
	p := *a.Press
	p.Sealed = t.cfg.Codes.Seal(p.Code, a.Spot.Account, a.Key)
	a.Press = &p
	return a
}

// unseal gives an act its code back. Without it the act asks for one again.
func (t *Teams) unseal(a *act) {
	if a.Press == nil || a.Press.Sealed == "" || t.cfg.Codes == nil {
		return
	}
	code, err := t.cfg.Codes.Open(a.Press.Sealed, a.Spot.Account, a.Key)
	if err != nil {
		t.log.Error("a recorded code does not open", "account", a.Spot.Account, "err", err)
	}
	a.Press.Code = code
}

// handle works off a recorded act. An error means that it is to be tried again.
func (t *Teams) handle(ctx context.Context, payload []byte) error {
	var a act
	if err := json.Unmarshal(payload, &a); err != nil {
		t.log.Error("a recorded act is unreadable", "err", err)
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	t.unseal(&a)
	o, done := t.recall(ctx, a.Key)
	switch {
	case done: // and a crash kept the inbox from hearing of it
	case a.once() && t.begun(ctx, a.Key):
		o = outcome{Says: saysCutOff}
	default:
		o = t.perform(ctx, a)
	}
	// From here on the act counts. What is left is its answer, which is not worth another try.
	t.remember(ctx, a.Key, o)
	if !t.waiting.came(a.Key, o) {
		t.afterwards(func(ctx context.Context) error { return t.tell(ctx, a.Spot, o) })
	}
	return nil
}

// once tells whether an act may have an effect each time that it is done, as words and forms may: an extension adds up.
// What a button does, it does once.
func (a act) once() bool { return a.Press == nil || a.Press.Kind == pressSend }

// urgent tells whether an act decides, takes back or ends.
func (a act) urgent() bool {
	if a.Press == nil {
		return bot.UrgentWords(a.Words)
	}
	return a.Press.urgent()
}

func (p press) urgent() bool {
	switch p.Kind {
	case pressClick:
		return p.Action.Urgent()
	case pressSend:
		return p.Form.Urgent()
	}
	return false
}

// paced refuses what an account does too fast; the first time that is put on record.
func (t *Teams) paced(ctx context.Context, account string, look, urgent bool) (says string, first bool) {
	count := t.cfg.Pace.Act
	switch {
	case look:
		count = t.cfg.Pace.Look
	case urgent:
		count = t.cfg.Pace.Urgent
	}
	says, first = count(account, t.now())
	if first {
		t.cfg.TurnedAway(ctx, account, "too_many_acts")
	}
	return says, first
}

// begun notes that an act is being done, and tells whether that was noted before: it was cut off then.
func (t *Teams) begun(ctx context.Context, key string) bool {
	key += ":begun"
	before, err := t.cfg.Store.Recall(ctx, key)
	if err == nil && before == nil {
		err = t.cfg.Store.Put(ctx, key, []byte("1"), rememberedFor)
	}
	if err != nil {
		t.log.Warn("it could not be noted that an act was begun; after a crash it is done again", "err", err)
	}
	return before != nil
}

// perform does what was recorded, or shows what was asked for.
func (t *Teams) perform(ctx context.Context, a act) outcome {
	who := a.Spot.who()
	if a.Press == nil {
		return t.shown(ctx, a, t.cfg.Bot.Command(ctx, who, a.Words))
	}
	p := a.Press
	switch {
	case p.Kind == pressSend:
		return t.sent(ctx, a)
	case p.Kind == pressChange:
		return t.shown(ctx, a, t.cfg.Bot.Refresh(ctx, who, p.submission()))
	case p.Kind == pressHome:
		return t.homePage(ctx, a.Spot)
	case p.Kind == pressView, p.Action == bot.ActView:
		o, excuse := t.viewed(ctx, a)
		if o.Card == nil {
			o.Says = cmp.Or(excuse, saysGone)
		}
		return o
	}
	return t.shown(ctx, a, t.cfg.Bot.Click(ctx, who, bot.Click{Action: p.Action, Request: p.Request, Message: a.message()}))
}

// message is the reference of the request's message that was pressed; empty where the button stood on something else.
func (a act) message() string {
	if !a.onMessage() || a.Spot.Message == "" {
		return ""
	}
	return reference(a.Spot.place, a.Spot.Message)
}

// onMessage tells whether a button stood on a request's message, or on what was shown in its place.
func (a act) onMessage() bool {
	return a.Press != nil && a.Press.Request != "" && (a.Press.On == "request" || a.Press.On == "details")
}

func (p press) submission() bot.Submission {
	return bot.Submission{Form: p.Form, Request: p.Request, Values: p.Values, Code: p.Code}
}

// opens tells whether a button only shows something. All others change something, and are recorded first.
func (p press) opens() bool {
	if p.Kind != pressClick {
		return p.Kind != pressSend
	}
	switch p.Action {
	case bot.ActDeny, bot.ActDetails, bot.ActExtend, bot.ActRequest, bot.ActAgain, bot.ActView:
		return true
	}
	return false
}

// sent answers a form that was sent off. A form that was accepted is spent: whatever is sent from the same one later gets
// the same answer.
func (t *Teams) sent(ctx context.Context, a act) outcome {
	spent := actKey("spent", a.Spot.Account, a.Press.Nonce)
	if before, ok := t.recall(ctx, spent); ok {
		return before
	}
	answer := t.cfg.Bot.Submit(ctx, a.Spot.who(), a.Press.submission())
	o := t.shown(ctx, a, answer)
	if len(answer.Errors) == 0 && answer.Form == nil {
		t.remember(ctx, spent, o)
	}
	return o
}

// remember keeps the outcome of an act, so that one that is delivered twice is answered twice and done once.
func (t *Teams) remember(ctx context.Context, key string, o outcome) {
	value, err := json.Marshal(o.kept())
	if err == nil {
		err = t.cfg.Store.Put(ctx, key, value, rememberedFor)
	}
	if err != nil { // a second delivery will be told that the first is under way
		t.log.Warn("an answer could not be remembered", "err", err)
	}
}

// recall gives the outcome that an act had; false where it has none yet, or the store does not say.
func (t *Teams) recall(ctx context.Context, key string) (o outcome, ok bool) {
	value, err := t.cfg.Store.Recall(ctx, key)
	if err != nil {
		t.log.Warn("an earlier answer could not be looked up", "err", err)
	}
	if err != nil || value == nil {
		return o, false
	}
	return o, json.Unmarshal(value, &o) == nil
}
