package storagetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

func requestChecks() []check {
	return []check{
		{name: "GetTellsWhatIsNotThere", run: getTellsWhatIsNotThere},
		{name: "ListSelects", run: listSelects},
		{name: "ListPages", run: listPages},
		{name: "ListPagesWithinAMoment", run: listPagesWithinAMoment},
		{name: "ListIsKeptTrue", run: listIsKeptTrue},
	}
}

func getTellsWhatIsNotThere(e *env) {
	if _, err := e.Get(e.Context(), "00000-00000"); !errors.Is(err, access.ErrNotFound) {
		e.Errorf("get of nothing: %v, want not found", err)
	}
}

// population stores requests of several people, roles and states, a second apart, and gives them newest first.
func (e *env) population(n int) []*access.Record {
	e.Helper()
	people := []access.PersonID{"ana", "bob", "cyd"}
	states := access.States()
	var all []*access.Record
	for i := range n {
		e.clock.Advance(time.Second)
		all = append(all, e.in(states[i%len(states)], of(people[i%len(people)]), func(r *access.Record) {
			if i%2 == 0 {
				r.Role.ID = "reader"
			}
			if i%5 == 0 {
				r.Requester = "svc"
			}
		}))
	}
	slices.Reverse(all)
	return all
}

func selected(all []*access.Record, q workflows.Query) []access.RequestID {
	var ids []access.RequestID
	for _, r := range all {
		switch {
		case q.Open && r.State.Terminal(),
			len(q.States) > 0 && !slices.Contains(q.States, r.State),
			q.Person != "" && r.Person != q.Person && r.Requester != q.Person,
			q.Role != "" && r.Role.ID != q.Role,
			r.SubmittedAt.Before(q.Since):
			continue
		}
		ids = append(ids, r.ID)
	}
	return ids
}

// listAll follows the cursors to the end.
func (e *env) listAll(q workflows.Query) []access.RequestID {
	e.Helper()
	var ids []access.RequestID
	for pages := 0; ; pages++ {
		records, next, err := e.List(e.Context(), q)
		e.ok(err, "list")
		if q.Limit > 0 && len(records) > q.Limit {
			e.Errorf("%d records on a page of %d", len(records), q.Limit)
		}
		for _, r := range records {
			ids = append(ids, r.ID)
		}
		if next == "" {
			return ids
		}
		if pages > 1000 {
			e.Fatalf("the cursor never ends")
		}
		q.Cursor = next
	}
}

func (e *env) lists(all []*access.Record, q workflows.Query) {
	e.Helper()
	if got, want := e.listAll(q), selected(all, q); !slices.Equal(got, want) {
		e.Errorf("list %+v\n got %v\nwant %v", q, got, want)
	}
}

func listSelects(e *env) {
	all := e.population(33)
	for _, q := range []workflows.Query{
		{},
		{Open: true},
		{States: []access.State{access.Pending}},
		{States: []access.State{access.Ended, access.Active}},
		{Open: true, States: []access.State{access.Ended, access.Active}},
		{Open: true, States: []access.State{access.Ended}},
		{Person: "ana"},
		{Person: "svc"},
		{Person: "nobody"},
		{Role: "reader"},
		{Role: "db-admin", Person: "bob", Open: true},
		{Since: all[10].SubmittedAt},
		{Since: all[10].SubmittedAt.Add(1)},
		{Since: all[0].SubmittedAt.Add(time.Hour)},
		{Person: "cyd", Since: all[20].SubmittedAt, States: access.States()},
	} {
		e.lists(all, q)
	}
}

func listPages(e *env) {
	all := e.population(33)
	for _, limit := range []int{1, 2, 7, 32, 33, 34, 1000, 5000} {
		e.lists(all, workflows.Query{Limit: limit})
		e.lists(all, workflows.Query{Limit: limit, Open: true, Role: "reader"})
	}
	if _, _, err := e.List(e.Context(), workflows.Query{Cursor: "nonsense"}); err == nil {
		e.Errorf("a cursor that the store did not give was taken")
	}
}

// listPagesWithinAMoment: requests of the same instant must each be on one page, in whatever order.
func listPagesWithinAMoment(e *env) {
	const requests = 25
	for i := range requests {
		e.in(access.Pending, of(access.PersonID(fmt.Sprintf("p%d", i%3))))
	}
	for _, limit := range []int{1, 4, 25} {
		ids := e.listAll(workflows.Query{Limit: limit})
		slices.Sort(ids)
		want(e, fmt.Sprintf("distinct requests over pages of %d", limit), len(slices.Compact(ids)), requests)
		want(e, fmt.Sprintf("requests over pages of %d", limit), len(ids), requests)
	}
}

func listIsKeptTrue(e *env) {
	r := e.in(access.Pending)
	for _, a := range []access.Arrow{access.Accept, access.Arm, access.Confirm, access.End, access.Overdue, access.Close} {
		r = e.take(r, a, nil)
		e.lists([]*access.Record{r}, workflows.Query{})
		e.lists([]*access.Record{r}, workflows.Query{Open: true})
		for _, state := range access.States() {
			e.lists([]*access.Record{r}, workflows.Query{States: []access.State{state}, Person: "ana"})
		}
	}
	records, _, err := e.List(e.Context(), workflows.Query{})
	e.ok(err, "list")
	want(e, "records", cmp.Compare(len(records), 1), 0)
	e.same("listed record", records[0], r)
}
