package workflows

import (
	"errors"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// errTooMany stops the short comparison of lines that the store may merely not know the number of.
var errTooMany = errors.New("too many requests for the short way")

// shortWay is how many requests the short comparison looks at.
const shortWay = 4096

// traces is what the log says of requests, as far as it is needed to find what a store lost. It keeps those that are
// open, so that memory does not grow with the length of the log, and few bytes of each: records stay in the files.
type traces struct {
	byID  map[access.RequestID]*trace
	files []string
	// open is what is open in the store: what the log knows to be over is kept of those alone.
	open map[access.RequestID]storedAs
	// states gives every state one text to share.
	states map[access.State]access.State
}

// trace is what the log says of one request.
type trace struct {
	version int64
	state   access.State
	schema  int   // of the newest record; zero: there is none that later lines do not outdate
	record  place // of the newest record
	closing place // of the line that brought it to its end
	// What happened since that record by arrows that carry none.
	reminded, noticed bool
	overdueAt         int64 // Unix ns; zero: not told overdue
}

// place is an audit.Place in few bytes.
type place struct {
	file, length int32
	offset       int64
}

func newTraces(open map[access.RequestID]storedAs) *traces {
	t := &traces{byID: map[access.RequestID]*trace{}, open: open, states: map[access.State]access.State{}}
	for _, s := range access.States() {
		t.states[s] = s
	}
	return t
}

func (ts *traces) keep(p audit.Place) place {
	if n := len(ts.files); n == 0 || ts.files[n-1] != p.File {
		ts.files = append(ts.files, p.File)
	}
	return place{file: int32(len(ts.files) - 1), length: int32(p.Length), offset: p.Offset}
}

func (ts *traces) line(p place) (audit.Line, error) {
	return audit.Place{File: ts.files[p.file], Offset: p.offset, Length: int(p.length)}.Read()
}

// add takes the next line, and forgets what is over unless it is open in the store.
func (ts *traces) add(e audit.Entry) error {
	ts.take(e)
	if _, open := ts.open[e.Request]; e.To.Terminal() && !open {
		delete(ts.byID, e.Request)
	}
	return nil
}

// addAny takes the next line and forgets nothing.
func (ts *traces) addAny(e audit.Entry) error {
	if ts.take(e); len(ts.byID) > shortWay {
		return errTooMany
	}
	return nil
}

func (ts *traces) take(e audit.Entry) {
	t := ts.byID[e.Request]
	if t == nil {
		t = &trace{}
		ts.byID[e.Request] = t
	}
	switch {
	case e.Version < t.version, e.Version == t.version && t.state.Terminal():
		return // of a store that had gone back and did not know it yet, or what was restored
	case e.Version == t.version && e.Schema == 0 && !e.To.Terminal():
		return // no arrow
	}
	t.version, t.state = e.Version, ts.states[e.To]
	switch {
	case e.Schema > 0:
		*t = trace{version: t.version, state: t.state, schema: e.Schema, record: ts.keep(e.Place)}
	case e.To.Terminal():
		if e.Kind != audit.Restored || t.closing == (place{}) {
			t.closing = ts.keep(e.Place)
		}
	case e.Kind == string(access.Remind):
		t.reminded = true
	case e.Kind == string(access.Notice):
		t.noticed = true
	case e.Kind == string(access.Overdue):
		t.overdueAt = e.At.UnixNano()
	default: // what it changed is not said
		t.schema = 0
	}
}

// lacking tells whether a store that has this of the request has lost something. What is over by the log and open in the
// store was lost whatever the version: somebody moved a record on that the store had gone back to.
func (t *trace) lacking(had storedAs) bool {
	if t.state.Terminal() {
		return had.version > 0 && !had.state.Terminal()
	}
	return had.version < t.version
}

// catchUp brings a record up to date with what happened since by arrows that carry none.
func (t *trace) catchUp(rec *access.Record, overdueAfter time.Duration) {
	if t.reminded {
		rec.RemindAt = time.Time{}
	}
	if t.noticed {
		rec.NoticeAt = time.Time{}
	}
	if t.overdueAt != 0 {
		at := time.Unix(0, t.overdueAt).UTC()
		rec.Overdue, rec.OverdueAt = true, at.Add(overdueAgain(at.Sub(rec.EndingAt), overdueAfter))
	}
	rec.Version, rec.State, rec.Schema = t.version, t.state, access.Schema
}

// overdueAgain is how long after people were told that an ending is late they are told again.
func overdueAgain(late, first time.Duration) time.Duration { return min(max(2*late, first), time.Hour) }
