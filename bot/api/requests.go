package api

import (
	"context"
	"errors"
	"net/http"

	"elevate/workflows"
	"elevate/workflows/access"
)

// codeField carries a code of the caller's second factor, where the policy asks for one.
const codeField = "code"

// submit is POST /requests.
func (a *API) submit(ctx context.Context, c *call) (*response, error) {
	in, err := fields(c.body, "role", "duration", "justification", "ticket", "start", "for", codeField)
	if err != nil {
		return nil, err
	}
	ask := workflows.Ask{
		Role:          access.RoleID(in.required("role")),
		Duration:      in.duration("duration"),
		Justification: in.required("justification"),
		Ticket:        in.values["ticket"],
		Start:         in.time("start"),
		For:           access.PersonID(in.values["for"]),
		Proof:         access.NewSecret(in.values[codeField]),
	}
	if err := errors.Join(in.err(), parameters(c.query, nil).err()); err != nil {
		return nil, err
	}
	rec, err := a.cfg.Service.Submit(ctx, c.actor, ask)
	if err != nil {
		return nil, err
	}
	return render(http.StatusCreated, requestOf(rec)).with("Location", Prefix+"/requests/"+string(rec.ID)), nil
}

// list is GET /requests.
func (a *API) list(ctx context.Context, c *call) (*response, error) {
	l, err := parseListing(c.query)
	if err != nil {
		return nil, err
	}
	if l.waiting {
		records, err := a.cfg.Service.Waiting(ctx, c.person.ID)
		if err != nil {
			return nil, err
		}
		return render(http.StatusOK, pageOf(records, "")), nil
	}
	if l.mine {
		l.Person = c.person.ID
	}
	records, next, err := a.cfg.Service.Requests(ctx, c.person.ID, l.Query)
	if err != nil {
		return nil, err
	}
	return render(http.StatusOK, pageOf(records, next)), nil
}

// show is GET /requests/{id}.
func (a *API) show(ctx context.Context, c *call) (*response, error) {
	if err := parameters(c.query, nil).err(); err != nil {
		return nil, err
	}
	rec, err := a.cfg.Service.Request(ctx, c.person.ID, c.id)
	if err != nil {
		return nil, err
	}
	return render(http.StatusOK, requestOf(rec)), nil
}

// verb is POST /requests/{id}/…: it reads the fields it knows and answers with the request as it is after the act.
func verb(act func(ctx context.Context, c *call, in *input) (*access.Record, error), names ...string) endpoint {
	return func(ctx context.Context, c *call) (*response, error) {
		in, err := fields(c.body, names...)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(in.err(), parameters(c.query, nil).err()); err != nil {
			return nil, err
		}
		rec, err := act(ctx, c, in)
		if err != nil {
			return nil, err
		}
		return render(http.StatusOK, requestOf(rec)), nil
	}
}

// decide is POST /requests/{id}/approve and /deny.
func (a *API) decide(v access.Verdict) endpoint {
	known := []string{"reason"}
	if v == access.Approve {
		known = append(known, codeField)
	}
	return verb(func(ctx context.Context, c *call, in *input) (*access.Record, error) {
		return a.cfg.Service.Decide(ctx, c.actor, c.id, workflows.Decision{
			Verdict: v, Reason: in.values["reason"], Method: "token", Proof: access.NewSecret(in.values[codeField]),
		})
	}, known...)
}

// cancel is POST /requests/{id}/cancel.
func (a *API) cancel() endpoint {
	return verb(func(ctx context.Context, c *call, _ *input) (*access.Record, error) {
		return a.cfg.Service.Cancel(ctx, c.actor, c.id)
	})
}

// end is POST /requests/{id}/end.
func (a *API) end() endpoint {
	return verb(func(ctx context.Context, c *call, in *input) (*access.Record, error) {
		return a.cfg.Service.End(ctx, c.actor, c.id, in.values["reason"])
	}, "reason")
}

// extend is POST /requests/{id}/extend.
func (a *API) extend() endpoint {
	return verb(func(ctx context.Context, c *call, in *input) (*access.Record, error) {
		in.required("duration")
		more := in.duration("duration")
		if err := in.err(); err != nil {
			return nil, err
		}
		return a.cfg.Service.Extend(ctx, c.actor, c.id, more, access.NewSecret(in.values[codeField]))
	}, "duration", codeField)
}
