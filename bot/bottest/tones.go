package bottest

import "strings"

// Tone is how the people of an office write.
type Tone struct {
	Name          string
	Person        string // a name of a person, with a %d for a number in it
	Role          string
	Justification string
	Reason        string
	Ticket        string
	Count         int // of approvers, roles and requests
}

// Mischief is text that means something to one chat or another, to a terminal or to a reader's eye.
const Mischief = "*bold* _italic_ ~gone~ **strong** `code` ```block``` <!channel> <!here> <@U0BEN> <#C0ACCESS> <at>Ben</at> <https://evil.example|approved> " +
	"&amp; & < > :tada: @here #general [x](https://evil.example) {{TIME(2026-11-23T14:05:00Z)}} ${x} www.evil.example \u202egnp.exe\u202c 🧑‍🚒👩🏽‍💻 " +
	"שלום עולם مرحبا e\u0301\u0301\u0301 \"quoted\" \\ \x00 > quote"

// Tones are the tones of people who write as people do, and of people who want to break something.
func Tones() []Tone {
	long := strings.Repeat(Mischief+"\n", 20)
	return []Tone{
		{Name: "plain", Person: "Ana Lima %d", Role: "Production database admin", Justification: "INC-4711: restart the stuck payment workers",
			Reason: "not during the freeze", Ticket: "INC-4711", Count: 3},
		{Name: "hostile", Person: Mischief + " %d", Role: Mischief, Justification: string([]rune(long)[:2000]), Reason: string([]rune(long)[:500]),
			Ticket: Mischief, Count: 50},
		{Name: "right to left", Person: "عائشة بنت أحمد %d", Role: "מנהל מסד נתונים", Justification: strings.Repeat("يحتاج الخادم إلى إعادة تشغيل. ", 60),
			Reason: "לא עכשיו", Ticket: "INC-٤٧١١", Count: 50},
		{Name: "emoji", Person: "👩🏽‍🚒🏳️‍🌈 %d", Role: "🔥🔑 " + strings.Repeat("🗝️", 60), Justification: strings.Repeat("🧯", 2000), Reason: strings.Repeat("🙅🏿‍♀️", 100),
			Ticket: "🎫", Count: 10},
		{Name: "all escapes", Person: strings.Repeat("&", 80) + "%d", Role: strings.Repeat("<", 120), Justification: strings.Repeat("\"\\", 1000),
			Reason: strings.Repeat("&", 500), Ticket: strings.Repeat("`", 100), Count: 50},
	}
}
