package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"elevate/connectors"
	"elevate/workflows"
	"elevate/workflows/access"
)

// Role is an entry of the catalogue as the caller sees it.
type Role struct {
	ID            access.RoleID     `json:"id"`
	Title         string            `json:"title"`
	Description   string            `json:"description"`
	Connector     string            `json:"connector"`
	Labels        map[string]string `json:"labels"`
	Eligible      bool              `json:"eligible"`
	Duration      DurationBounds    `json:"duration"`
	Justification JustificationRule `json:"justification"`
	Stages        []Stage           `json:"stages"`
	StepUp        StepUp            `json:"step_up"`
	Capabilities  Capabilities      `json:"capabilities"`
}

// DurationBounds are what may be asked for.
type DurationBounds struct {
	Default Duration `json:"default"`
	Max     Duration `json:"max"`
	Min     Duration `json:"min"`
}

// JustificationRule is what words are asked for; Ticket is a regular expression, null where no ticket is.
type JustificationRule struct {
	MinLength int     `json:"min_length"`
	MaxLength int     `json:"max_length"`
	Ticket    *string `json:"ticket"`
}

// StepUp is which acts take a second factor: totp, webauthn, or null for none.
type StepUp struct {
	Request *string `json:"request"`
	Approve *string `json:"approve"`
}

// Capabilities are what the target can do about an end.
type Capabilities struct {
	NativeExpiry bool     `json:"native_expiry"`
	EndsSessions bool     `json:"ends_sessions"`
	Tail         Duration `json:"tail"`
}

const (
	defaultRoles = 100
	maxRoles     = 1000
)

// roles is GET /roles.
func (a *API) roles(ctx context.Context, c *call) (*response, error) {
	in := parameters(c.query, nil, "q", "limit")
	limit := in.number("limit", 1, maxRoles, defaultRoles)
	if err := in.err(); err != nil {
		return nil, err
	}
	offers, err := a.cfg.Service.Offers(ctx, c.person.ID, in.values["q"], limit)
	if err != nil {
		return nil, err
	}
	out := make([]Role, len(offers))
	for i, o := range offers {
		out[i] = roleOf(o)
	}
	return render(http.StatusOK, map[string][]Role{"roles": out}), nil
}

func roleOf(o workflows.Offer) Role {
	labels := o.Role.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	doc := Role{
		ID: o.Role.ID, Title: o.Role.DisplayTitle(), Description: o.Role.Description,
		Connector: o.Role.Connector, Labels: labels, Eligible: o.Eligible,
		Duration:      DurationBounds{Default: Duration(o.Default), Max: Duration(o.Max), Min: Duration(o.Capabilities.MinDuration)},
		Justification: JustificationRule{MinLength: o.MinLength, MaxLength: o.MaxLength, Ticket: text(o.TicketPattern)},
		Stages:        make([]Stage, len(o.Stages)),
		StepUp:        StepUp{Request: text(string(o.StepUp.Request)), Approve: text(string(o.StepUp.Approve))},
		Capabilities:  Capabilities{NativeExpiry: o.Capabilities.NativeExpiry, EndsSessions: o.Capabilities.EndsSessions, Tail: Duration(o.Capabilities.Tail)},
	}
	for i, s := range o.Stages {
		doc.Stages[i] = Stage{Count: s.Count, Within: Duration(s.Within)}
	}
	return doc
}

// Holder is somebody who holds a role at its target now. Person and Grant are null where the target does not tell.
type Holder struct {
	Account string  `json:"account"`
	Person  *string `json:"person"`
	Grant   *string `json:"grant"`
	Ours    bool    `json:"ours"` // given by Elevate
	// How the access comes about, in a few words; null where the target does not tell.
	How *string `json:"how"`
	// Eligible: does not hold the role, and may take it at the target, past Elevate.
	Eligible bool `json:"eligible"`
}

// Holders is who holds a role.
type Holders struct {
	Role    access.RoleID `json:"role"`
	Holders []Holder      `json:"holders"`
}

// holders is GET /holders?role=.
func (a *API) holders(ctx context.Context, c *call) (*response, error) {
	in := parameters(c.query, nil, "role")
	role := access.RoleID(strings.TrimSpace(in.required("role")))
	if err := in.err(); err != nil {
		return nil, err
	}
	held, err := a.cfg.Service.Holders(ctx, c.person.ID, role)
	if err != nil {
		return nil, missing(err)
	}
	return render(http.StatusOK, Holders{Role: role, Holders: holdersOf(held)}), nil
}

func holdersOf(held []connectors.Holder) []Holder {
	out := make([]Holder, len(held))
	for i, h := range held {
		out[i] = Holder{Account: h.Account, Person: text(string(h.Person)), Grant: text(string(h.Grant)), Ours: h.Ours,
			How: text(h.How), Eligible: h.Eligible}
	}
	return out
}

// missing makes an unknown name in a query a 404: here the name is the thing asked for.
func missing(err error) error {
	var r *access.Refusal
	if !errors.As(err, &r) || !errors.Is(err, access.ErrNotFound) {
		return err
	}
	return problem(http.StatusNotFound, r.Code, r.Text)
}
