package measure

import (
	"context"
	"fmt"
	"strings"

	"elevate/workflows/access"
)

// The size of the company that is asked who may approve.
const (
	approverCount = 8
	staffCount    = 50
)

// requesterPrefix begins the id of somebody who asks. There are as many of them as it takes.
const requesterPrefix = "engineer-"

func requester(i int) access.PersonID {
	return access.PersonID(fmt.Sprintf("%s%d", requesterPrefix, i))
}

func approver(i int) access.PersonID {
	return access.PersonID(fmt.Sprintf("lead-%d", i%approverCount))
}

// company is a directory in memory.
type company struct{}

func (company) Person(_ context.Context, id access.PersonID) (access.Person, error) {
	p := access.Person{ID: id, Name: string(id), Email: string(id) + "@example.com", Kind: access.Human, Groups: []string{"engineers"}}
	switch {
	case strings.HasPrefix(string(id), requesterPrefix):
		return p, nil
	case strings.HasPrefix(string(id), "lead-"):
		p.Groups = append(p.Groups, "leads")
		return p, nil
	}
	return access.Person{}, fmt.Errorf("person %s: %w", id, access.ErrNotFound)
}

func (c company) ByAccount(ctx context.Context, _, account string) (access.Person, error) {
	return c.Person(ctx, access.PersonID(account))
}

func (company) AccountOf(_ context.Context, id access.PersonID, _ string) (string, error) {
	return string(id), nil
}

func (c company) People(ctx context.Context) ([]access.Person, error) {
	all := make([]access.Person, 0, staffCount)
	for i := range staffCount {
		id := requester(i)
		if i < approverCount {
			id = approver(i)
		}
		p, err := c.Person(ctx, id)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}
