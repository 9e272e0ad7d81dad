package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// tail is how many events the panel shows.
const tail = 6

// trail reads the newest events from the files of the audit log: what it shows is on record.
type trail struct {
	dir  string
	head func() audit.Head
	name func(access.PersonID) string

	mu     sync.Mutex
	upTo   audit.Head
	newest time.Time
	events []eventView
}

type eventView struct {
	Seq   int64           `json:"seq"`
	At    time.Time       `json:"at"`
	Actor access.PersonID `json:"actor"`
	Verb  string          `json:"verb"`
	About string          `json:"about,omitempty"`
	No    bool            `json:"no,omitempty"`
}

type chainView struct {
	Lines int64  `json:"lines"`
	Hash  string `json:"hash"`
}

// read gives the newest events, newest first, and the end of the chain.
func (t *trail) read() ([]eventView, chainView, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if head := t.head(); head != t.upTo {
		if err := t.follow(head); err != nil {
			return nil, chainView{}, fmt.Errorf("read the audit log: %w", err)
		}
	}
	events := make([]eventView, 0, len(t.events))
	for i := len(t.events) - 1; i >= 0; i-- {
		events = append(events, t.events[i])
	}
	return events, chainView{Lines: t.upTo.Seq, Hash: hex.EncodeToString(t.upTo.Hash[:4])}, nil
}

// follow reads the lines that came since.
func (t *trail) follow(head audit.Head) error {
	var lines bytes.Buffer
	if _, err := audit.Export(&lines, []string{t.dir}, audit.JSONL, audit.Filter{From: t.newest}); err != nil {
		return err
	}
	scanner := bufio.NewScanner(&lines)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var line audit.Line
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			return err
		}
		if line.Seq <= t.upTo.Seq || line.Seq > head.Seq {
			continue
		}
		t.events = append(t.events, t.view(line))
		if line.At.After(t.newest) {
			t.newest = line.At
		}
	}
	t.events = t.events[max(0, len(t.events)-tail):]
	t.upTo = head
	return scanner.Err()
}

// view puts an event into a line: who did what, about what.
func (t *trail) view(l audit.Line) eventView {
	v := eventView{Seq: l.Seq, At: l.At, Actor: l.Actor.Person, About: string(l.Role)}
	switch access.Arrow(l.Kind) {
	case audit.Refused:
		v.No, v.Verb, v.About = true, "was refused:", l.Reason
	case access.Submit:
		v.Verb = "asked for"
	case access.Vote:
		v.Verb, v.About = "approved,", "one of several, "+v.About
	case access.Accept:
		v.Verb = "approved"
	case access.Refuse:
		v.Verb = "denied"
	case access.Cancel:
		v.Verb = "cancelled"
	case access.Arm:
		v.Verb = "set the end of"
	case access.Confirm:
		v.Verb, v.About = "gave", v.About+" to "+t.name(l.Person)
	case access.Extend:
		v.Verb = "extended"
	case access.Retry:
		v.No, v.Verb, v.About = true, "tried in vain:", l.Reason
	case access.Overdue:
		v.No, v.Verb = true, "found overdue:"
	case access.End:
		v.Verb = "began to end"
		if said := l.Detail["error"]; said != "" {
			v.No, v.Verb, v.About = true, "tried in vain:", said
		}
	case access.Close:
		v.Verb = "proved the end of"
	case access.Notice:
		v.Verb = "gave notice on"
	case access.Remind:
		v.Verb = "reminded approvers of"
	default:
		v.Verb = l.Kind
	}
	return v
}
