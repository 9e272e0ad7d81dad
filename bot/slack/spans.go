package slack

import (
	"context"
	"regexp"
	"strconv"
	"strings"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackutilsx"

	"elevate/bot"
)

// rich is a paragraph of rich text: nothing in its text elements is parsed.
func (r renderer) rich(ctx context.Context, spans []bot.Span) []slack.Block {
	var elements []slack.RichTextSectionElement
	for _, span := range spans {
		if e := r.element(ctx, span); e != nil {
			elements = append(elements, e)
		}
	}
	if len(elements) == 0 {
		return nil
	}
	return []slack.Block{slack.NewRichTextBlock("", slack.NewRichTextSection(elements...))}
}

// usual is what the sentences of bot and workflows call the slash command.
const usual = "/elevate"

// named calls the command in a span of code by the name that it has in this workspace.
func (r renderer) named(span bot.Span) bot.Span {
	rest, ours := strings.CutPrefix(span.Text, usual)
	if r.command != "" && span.Code && ours && (rest == "" || rest[0] == ' ') {
		span.Text = r.command + rest
	}
	return span
}

// plainly is named for a sentence of ours that marks nothing.
func (r renderer) plainly(says string) string {
	if r.command == "" {
		return says
	}
	return strings.ReplaceAll(says, usual, r.command)
}

func (r renderer) element(ctx context.Context, span bot.Span) slack.RichTextSectionElement {
	span = r.named(span)
	var style *slack.RichTextSectionTextStyle
	if span.Bold || span.Code {
		style = &slack.RichTextSectionTextStyle{Bold: span.Bold, Code: span.Code}
	}
	switch {
	case !span.Time.IsZero():
		fallback := span.Style.UTC(span.Time)
		date := slack.NewRichTextSectionDateElement(span.Time.Unix(), dateFormat(span.Style), nil, &fallback)
		date.Style = style
		return date
	case span.Mention && span.Person != "":
		if account := r.account(ctx, span.Person); account != "" {
			return slack.NewRichTextSectionUserElement(account, style)
		}
	}
	if span.URL != "" {
		return slack.NewRichTextSectionLinkElement(span.URL, bot.Cut(span.Text, maxText), style)
	}
	if text := span.Words(); text != "" {
		return slack.NewRichTextSectionTextElement(bot.Cut(text, maxText), style)
	}
	return nil
}

// object is spans as one text object: plain where they are plain words, mrkdwn where they need it and no character of
// theirs means anything in mrkdwn, where nothing but & < > can be escaped. Nil where neither will do.
func (r renderer) object(ctx context.Context, spans []bot.Span, limit int) *slack.TextBlockObject {
	var b strings.Builder
	marked := false
	for _, span := range spans {
		text := r.mrkdwn(ctx, span)
		if text == "" && span.Words() != "" {
			return nil
		}
		marked = marked || span.Bold || span.Code || span.Mention || !span.Time.IsZero()
		b.WriteString(text)
	}
	switch {
	case !marked:
		return plain(flat(spans), limit)
	case strings.TrimSpace(b.String()) == "" || len(b.String()) > limit:
		return nil
	}
	// Verbatim keeps Slack from making links and channels of what only looks like them.
	return slack.NewTextBlockObject(slack.MarkdownType, b.String(), false, true)
}

// mrkdwn is a span in Slack's markup; empty where its words would be parsed.
func (r renderer) mrkdwn(ctx context.Context, span bot.Span) string {
	span = r.named(span)
	switch {
	case !span.Time.IsZero():
		return "<!date^" + strconv.FormatInt(span.Time.Unix(), 10) + "^" + dateFormat(span.Style) + "|" +
			span.Style.UTC(span.Time) + ">"
	case span.Mention && span.Person != "":
		if account := r.account(ctx, span.Person); account != "" {
			return "<@" + account + ">"
		}
	}
	text := span.Words()
	switch {
	case text == "", span.URL != "": // a link is written as one in rich text alone
		return ""
	case span.Code:
		if strings.ContainsAny(text, "`\n") || edged(text) {
			return ""
		}
		return "`" + slackutilsx.EscapeMessage(text) + "`"
	case parsed.MatchString(text), span.Bold && edged(text):
		return ""
	case span.Bold:
		return "*" + slackutilsx.EscapeMessage(text) + "*"
	}
	return slackutilsx.EscapeMessage(text)
}

// parsed finds what mrkdwn would not show to the letter: marks, :emoji:, and > at the start of a line.
var parsed = regexp.MustCompile("[*_~`]|:[^\\s:]+:|(?m:^>)")

// edged tells whether a text begins or ends with a space: marks beside one mark nothing.
func edged(text string) bool { return text != strings.TrimSpace(text) }

// flat is spans in plain text.
func flat(spans []bot.Span) string {
	var b strings.Builder
	for _, span := range spans {
		b.WriteString(span.Words())
	}
	return b.String()
}

// dateFormat is a style in the words that Slack replaces in the reader's own zone and manner.
func dateFormat(s bot.TimeStyle) string {
	switch s {
	case bot.Clock:
		return "{time}"
	case bot.Seconds:
		return "{time_secs}"
	case bot.Date:
		return "{date_short_pretty}"
	}
	return "{date_short_pretty} at {time}"
}
