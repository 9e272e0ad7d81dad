package attack_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"elevate/bot/slack/slackfake"
)

const (
	textFile = "workflows/policy/text.go"
	csvFile  = "workflows/audit/csv.go"
)

func textAttacks() []attack {
	return []attack{
		{id: "T16", what: "markup of Slack's in a justification: mentions of everybody, links with another's words, bold print, code, quotes", run: markup,
			defence: "what people write is shown unparsed", without: []cut{{"bot/slack/render.go", "func quote(text string) []slack.Block {\n", "func quote(text string) []slack.Block {\n	if OUT {\n		return []slack.Block{slack.NewSectionBlock(slack.NewTextBlockObject(slack.MarkdownType, text, false, false), nil, nil)}\n	}\n"}}},
		{id: "T17", what: "changes of direction, invisible letters, tags, stacks of marks, control characters and 60 kB in a justification", run: strangeText,
			defence: "text is cleaned", without: []cut{{textFile, "func CleanText(s string) string {\n", "func CleanText(s string) string {\n	if OUT {\n		return s\n	}\n"}},
			also: map[string]string{"60 kB": "what is too long is refused"}},
		{id: "T18", what: "names of roles with letters of other alphabets, asked for and written into the configuration", run: strangeRoles,
			defence: "names of roles are ASCII", without: []cut{{"cmd/internal/config/check_roles.go", "var roleID = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)", "var roleID = regexp.MustCompile(OR(`^[a-z0-9][a-z0-9._-]{0,62}$`, `^.{1,63}$`))"}}},
		{id: "T40", what: "line breaks, ANSI sequences and JSON in every field that people fill in: each line of the audit log and of the log must be one event", run: brokenLines,
			defence: "what is logged is escaped", without: []cut{{"cmd/internal/config/config.go", "	return slog.NewJSONHandler(w, options)\n", "	if OUT {\n		return slog.NewJSONHandler(switched.Raw{Writer: w}, options)\n	}\n	return slog.NewJSONHandler(w, options)\n"}},
			also: map[string]string{"the audit log": "its lines are written as JSON by another writer"}},
		{id: "T41", what: "text that begins a formula in a spreadsheet, in every field that people fill in, exported as CSV", run: formulas,
			defence: "an apostrophe before what begins a formula", without: []cut{{csvFile, "func harmless(s string) string {\n", "func harmless(s string) string {\n	if OUT {\n		return s\n	}\n"}}},
	}
}

// asks has somebody ask with a justification, and gives the request; empty where it is refused.
func (r *rig) asks(i int, justification string) string {
	got := r.call(0, tokenOf("bea", i%tokensEach), "POST", "/requests", map[string]string{"role": "vpn", "duration": "1h", "justification": justification})
	return got.id
}

// parsed tells whether a text stands in what Slack was told so that it would be parsed.
func (r *rig) parsed(text string) (where string) {
	for _, c := range r.slack.Calls("") {
		if t, _ := c.Args["text"].(string); strings.Contains(t, text) && strings.ContainsAny(text, "<>") {
			return "the text of " + c.Method
		}
		slackfake.Walk(c.Args, func(m map[string]any) {
			if t, _ := m["text"].(string); m["type"] == "mrkdwn" && strings.Contains(t, text) {
				where = c.Method
			}
		})
	}
	return where
}

func markup(s *assault) {
	r := s.open()
	texts := []string{"<!channel> look", "<!everyone> look", "<@U0BEN> said yes", "<https://evil.example|the runbook>", "*APPROVED by the CISO*", "```rm -rf```", "`code`", "_quiet_", "~not~ this", ">quoted", ":white_check_mark: approved"}
	for i := range s.many(55, len(texts)) {
		text := fmt.Sprintf("%s %d", texts[i%len(texts)], i)
		id := r.asks(i, text)
		if id == "" {
			s.Fatalf("%q cannot be asked for", text)
		}
		r.message(id)
		where := r.parsed(text)
		s.triedAs(texts[i%len(texts)], where != "", "it is parsed in %s", where)
		r.does("bea", "/requests/"+id+"/cancel", nil)
	}
}

func strangeText(s *assault) {
	r := s.open()
	texts := []string{
		"abc\u202edenied\u202c", "abc\u2066x\u2069", "a\u200bb\u200bc here", "invisible\U000e0041\U000e0042 tags", "Z\u0300\u0301\u0302\u0303\u0304\u0305algo here",
		"bell\x07 and escape\x1b[31m red", "line\nbreak\r\nhere", "soft\u00adhyphen here", "variation\ufe00 selectors", "\ufeffmark of order", strings.Repeat("long ", 12_000), "private\ue000use here",
	}
	kinds := []string{"a direction", "another direction", "no width", "tags", "marks", "control characters", "lines", "a soft hyphen", "a selector", "a mark of order", "60 kB", "private use"}
	odd := func(text string) bool {
		marks := 0
		for _, c := range text {
			if unicode.Is(unicode.Mn, c) {
				marks++
			} else {
				marks = 0
			}
			if unicode.In(c, unicode.Cc, unicode.Cf, unicode.Co, unicode.Variation_Selector) || marks > 2 {
				return true
			}
		}
		return len(text) > 10_000
	}
	for i := range s.many(60, len(texts)) {
		id := r.asks(i, texts[i%len(texts)])
		if id == "" { // refused, which is as good
			s.triedAs(kinds[i%len(texts)], false, "")
			continue
		}
		kept := r.shown(id).Justification
		s.triedAs(kinds[i%len(texts)], odd(kept), "%.60q is kept as %.60q", texts[i%len(texts)], kept)
		r.does("bea", "/requests/"+id+"/cancel", nil)
	}
}

// strangeRoles has the roles there where configurations may have them: without the defence they are asked for.
func strangeRoles(s *assault) {
	names := []string{"vрn", "ѵpn", "vpn\u200b", "VPN", "vpｎ", "vpn ", "v\u0301pn"}
	entry := func(name string) string {
		return fmt.Sprintf("  - {id: %q, title: %q, connector: target, target: {role: other%x}}\n", name, fmt.Sprintf("Look-alike %x", name), name)
	}
	r := s.open(func(c *setting) {
		for _, name := range names {
			if s.out {
				c.roles += entry(name)
			}
		}
	})
	for i := range s.many(70, len(names)) {
		name := names[i%len(names)]
		got := r.call(0, tokenOf("bea", i%tokensEach), "POST", "/requests", map[string]string{"role": name, "duration": "1h", "justification": "look at it"})
		s.triedAs(fmt.Sprintf("%q asked for", name), got.id != "", "%d %s", got.status, got.code)
	}
	for _, name := range names {
		r.set.roles = entry(name)
		dir := s.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "elevate.yaml"), []byte(r.config("127.0.0.1:0")), 0o600); err != nil {
			s.Fatal(err)
		}
		out := s.program.Run(s, dir, "check")
		s.triedAs(fmt.Sprintf("%q in the configuration", name), out.Code == 0, "%.300s", out.Stdout)
	}
}

// nasty puts a text into everything that people fill in.
func (r *rig) nasty(text string) {
	fields := func(role string) map[string]string {
		return map[string]string{"role": role, "duration": "1h", "justification": "because " + text, "ticket": text}
	}
	if id := r.does("bea", "/requests", fields("vpn")).id; id != "" {
		r.does("cat", "/requests/"+id+"/deny", map[string]string{"reason": text})
		r.does("bea", "/requests/"+id+"/cancel", nil) // where the reason was refused
	}
	r.does("bea", "/requests", fields(text))
	r.does("bea", "/requests", map[string]string{"role": "vpn", "duration": text, "justification": text, "for": text})
	r.does("bea", "/requests/"+url.PathEscape(text)+"/approve", nil)
	for _, words := range []string{"%s", "show %s", "end %s", "roles %s", "vpn 1h %s"} {
		r.types("U0DAN", fmt.Sprintf(words, text))
	}
}

func brokenLines(s *assault) {
	r := s.open(func(c *setting) { c.more = "log: {level: debug}\n" })
	for _, text := range []string{"x\n{\"kind\":\"approve\",\"person\":\"ben\"}", "\x1b[2K\x1b[1Aapproved", "\",\"kind\":\"approve\",\"x\":\"", "\u2028\u2029line", "a\r\nb"} {
		r.nasty(text)
	}
	r.bots[0].Stop()
	texts := map[string]string{"the log": r.bots[0].Log()}
	files, err := filepath.Glob(filepath.Join(r.bots[0].Dir, "audit", "*.jsonl"))
	r.must(err)
	for _, f := range files {
		text, err := os.ReadFile(f)
		r.must(err)
		texts["the audit log"] += string(text)
	}
	for kind, lines := range texts {
		for line := range strings.Lines(lines) {
			if strings.HasPrefix(line, r.bots[0].Config()) {
				continue // what check says of the configuration, before there is a log
			}
			var event map[string]any
			err := json.Unmarshal([]byte(line), &event)
			s.triedAs(kind, err != nil || strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\x1b\r\n\x00"), "%v: %.200q", err, line)
		}
	}
}

func formulas(s *assault) {
	r := s.open()
	for _, begin := range []string{"=", "+", "-", "@", "\t=", "＝", "\r=", "; ="} {
		r.nasty(begin + "HYPERLINK(\"https://evil.example\",\"x\")")
	}
	r.bots[0].Stop()
	out := s.program.Run(s, r.bots[0].Dir, "audit", "export", "--format", "csv")
	rows, err := csv.NewReader(strings.NewReader(out.Stdout)).ReadAll()
	if err != nil || len(rows) < 10 {
		s.Fatalf("the export has %d rows: %v", len(rows), err)
	}
	for _, row := range rows {
		for _, field := range row {
			plain := strings.TrimLeftFunc(field, func(c rune) bool { return unicode.IsSpace(c) || unicode.Is(unicode.Cf, c) })
			s.tried(plain != "" && strings.ContainsAny(plain[:1], "=+-@") || strings.HasPrefix(plain, "＝"), "a field begins a formula: %.80q", field)
		}
	}
}
