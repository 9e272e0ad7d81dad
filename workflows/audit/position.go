package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// The names under which replicas agree in the store.
const (
	leaseName = "audit"
	headKey   = "audit:head"

	forever = 10 * 365 * 24 * time.Hour
	// settledFor is for how long lines that were settled, and not yet known to be written, are kept: longer than any
	// outage that is mended.
	settledFor = 30 * 24 * time.Hour
	// passedFor is for how long a replica that slept is told where the chain went on without it.
	passedFor = time.Hour
)

// settleKey is the key of what follows a head: lines, or, once they are in the files, the position after them.
func settleKey(h Head) string { return "audit:after:" + strconv.FormatInt(h.Seq, 10) }

// position is how far the chain has come, as replicas tell each other.
type position struct {
	Head Head `json:"head"`
	// Events are those of the lines last written. The store is told to forget them after this is stored, so they may
	// come from it again.
	Events []mark `json:"events,omitempty"`
	// CaughtUp is when nothing was left in the store.
	CaughtUp time.Time `json:"caught_up,omitzero"`
}

func (p position) text() ([]byte, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("write the position of the audit log: %w", err)
	}
	return text, nil
}

func parsePosition(text []byte) (position, error) {
	var p position
	if err := json.Unmarshal(text, &p); err != nil {
		return position{}, fmt.Errorf("read the position of the audit log from the store: %w", err)
	}
	return p, nil
}

// areLines tells lines from a position.
func areLines(settled []byte) bool { return bytes.HasPrefix(settled, []byte(beforeSeq)) }

// reach gives the position that lines lead to, and those of them that come after a line that is there already.
func reach(lines []byte, there Head) (to position, missing []byte, err error) {
	if to.Events, err = marks(lines); err != nil {
		return position{}, nil, fmt.Errorf("read settled lines from the store: %w", err)
	}
	missing = lines
	read := 0
	for raw := range bytes.Lines(lines) {
		read += len(raw)
		raw = bytes.TrimSuffix(raw, []byte("\n"))
		seq, _, err := place(raw)
		if err != nil {
			return position{}, nil, fmt.Errorf("read settled lines from the store: %w", err)
		}
		if to.Head = after(seq, raw); to.Head == there {
			missing = lines[read:]
		}
	}
	if there.Seq > to.Head.Seq {
		missing = nil
	}
	return to, missing, nil
}
