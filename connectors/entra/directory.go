package entra

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/groups"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/users"
	"golang.org/x/sync/errgroup"

	"elevate/connectors"
	"elevate/workflows/access"
)

// DirectoryConfig sets up a Directory. What it has in common with Config means the same there.
type DirectoryConfig struct {
	TenantID        string
	ClientID        string
	Credential      string
	ClientSecret    access.Secret
	CertificateFile string
	Cloud           string
	GraphURL        string
	LoginURL        string
	CAFile          string
	// Timeout bounds each question as a whole. Zero: 5 seconds, for somebody has clicked and waits.
	Timeout time.Duration
	// Groups are the object ids of the groups that are asked about. Without any, no right to read groups is needed.
	Groups []string
	Now    func() time.Time // nil: time.Now
}

// connection is the part of a connector's settings by which it reaches the tenant.
func (cfg DirectoryConfig) connection() Config {
	return Config{
		TenantID: cfg.TenantID, ClientID: cfg.ClientID, Credential: cfg.Credential, ClientSecret: cfg.ClientSecret, CertificateFile: cfg.CertificateFile,
		Cloud: cfg.Cloud, GraphURL: cfg.GraphURL, LoginURL: cfg.LoginURL, CAFile: cfg.CAFile, Timeout: cfg.Timeout, Now: cfg.Now,
	}
}

const (
	directoryTimeout = 5 * time.Second
	// shortWait is the longest that a question waits to be asked again within its time.
	shortWait = 2 * time.Second
	// Graph: up to 15 values of "in", and 999 objects on a page.
	mostIn   = 15
	pageRoom = 999
	// atOnce is how many requests of one question are under way at the same time.
	atOnce = 6
)

// Directory asks a tenant who its users are, which groups they are in and who manages them. It remembers nothing but
// that it was told to wait. It is safe for concurrent use.
type Directory struct {
	tenant *Connector
	groups []string

	mu    sync.Mutex
	quiet time.Time // until when Graph wants to be asked nothing
}

// NewDirectory makes a Directory. It reads the configuration and the files it names, and asks nobody anything.
func NewDirectory(cfg DirectoryConfig) (*Directory, error) {
	var problem error
	if cfg.Timeout < 0 {
		problem = fmt.Errorf("timeout: is negative; leave it out for %v", directoryTimeout)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = directoryTimeout
	}
	tenant, err := New(cfg.connection())
	if err := errors.Join(err, problem); err != nil {
		return nil, err
	}
	return &Directory{tenant: tenant, groups: cfg.Groups}, nil
}

// ask puts a question, and once more where Graph was busy or broken and says that it will not be for long. Until the time
// that Graph names after a 429, nothing is asked: asking sooner makes that longer.
func (d *Directory) ask(ctx context.Context, op string, f func(context.Context, *session) error) error {
	ctx, cancel := context.WithTimeout(ctx, d.tenant.cfg.Timeout)
	defer cancel()
	for again := false; ; again = true {
		if wait := d.wait(); wait > 0 {
			return failed(op, &refusal{kind: connectors.Throttled, wait: wait, text: "Graph answered 429 a moment ago, and is not asked before the time it named"})
		}
		err := d.tenant.run(ctx, op, f)
		var e *connectors.Error
		if err == nil || !errors.As(err, &e) {
			return err
		}
		passing := e.Kind == connectors.Throttled || temporary(err)
		if again || !passing || e.RetryAfter > shortWait {
			if e.Kind == connectors.Throttled {
				d.hush(e.RetryAfter)
			}
			return err
		}
		timer := time.NewTimer(e.RetryAfter)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// temporary tells whether Graph says that it is broken just now. Questions change nothing, so they can be asked again.
func temporary(err error) bool {
	var a *answer
	return errors.As(err, &a) && (a.status == http.StatusServiceUnavailable || a.status == http.StatusGatewayTimeout)
}

func (d *Directory) wait() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.quiet.Sub(d.tenant.cfg.Now())
}

func (d *Directory) hush(wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if until := d.tenant.cfg.Now().Add(wait); until.After(d.quiet) {
		d.quiet = until
	}
}

// User gives somebody's account, with the groups that it is in, directly or through other groups, where any are asked
// about. Errors: access.ErrNotFound (wrapped) where the tenant has no such user.
func (d *Directory) User(ctx context.Context, id string) (access.User, error) {
	var found access.User
	err := d.ask(ctx, "look a user up", func(ctx context.Context, s *session) (err error) {
		if found, err = s.account(ctx, id); err != nil || len(d.groups) == 0 {
			return err
		}
		found.Groups, err = s.groupsOf(ctx, id)
		return err
	})
	if err != nil {
		return access.User{}, err
	}
	return found, nil
}

// Users gives those of some accounts that there are, without their groups.
func (d *Directory) Users(ctx context.Context, ids []string) ([]access.User, error) {
	var found []access.User
	err := d.ask(ctx, "look users up", func(ctx context.Context, s *session) error {
		parts := slices.Collect(slices.Chunk(ids, mostIn))
		answers := make([][]access.User, len(parts))
		all, ctx := errgroup.WithContext(ctx)
		all.SetLimit(atOnce)
		for i, part := range parts {
			all.Go(func() (err error) {
				answers[i], err = s.fork().accounts(ctx, part)
				return err
			})
		}
		found = nil
		if err := all.Wait(); err != nil {
			return err
		}
		found = slices.Concat(answers...)
		return nil
	})
	return found, err
}

// Members lists the users in a group, directly or through other groups: all, or none where there are more than most.
// Errors: access.ErrNotFound (wrapped) where the tenant has no such group.
func (d *Directory) Members(ctx context.Context, group string, most int) (members []access.User, whole bool, err error) {
	err = d.ask(ctx, "list the members of a group", func(ctx context.Context, s *session) (err error) {
		members, whole, err = s.everyoneIn(ctx, group, most)
		return err
	})
	return members, whole, err
}

// ManagerOf gives the id of the user whom somebody reports to; "" where the tenant names none.
func (d *Directory) ManagerOf(ctx context.Context, id string) (string, error) {
	manager := ""
	err := d.ask(ctx, "ask for the manager", func(ctx context.Context, s *session) error {
		found, err := s.users.ByUserId(id).Manager().Get(ctx, &users.ItemManagerRequestBuilderGetRequestConfiguration{
			QueryParameters: &users.ItemManagerRequestBuilderGetQueryParameters{Select: []string{"id"}}})
		if missing(err) {
			manager = ""
			return nil
		}
		if err != nil {
			return err
		}
		if found == nil || text(found.GetId()) == "" {
			return refuse(connectors.Unavailable, "Graph answered with nothing where a manager was asked for")
		}
		manager = text(found.GetId())
		return nil
	})
	return manager, err
}

// missing tells whether Graph says that there is no such thing.
func missing(err error) bool {
	var a *answer
	return errors.As(err, &a) && a.status == http.StatusNotFound
}

// userProperties are those that count here.
func userProperties() []string {
	return []string{"id", "displayName", "mail", "accountEnabled", "userType"}
}

func (s *session) account(ctx context.Context, id string) (access.User, error) {
	found, err := s.users.ByUserId(id).Get(ctx, &users.UserItemRequestBuilderGetRequestConfiguration{
		QueryParameters: &users.UserItemRequestBuilderGetQueryParameters{Select: userProperties()}})
	switch {
	case missing(err):
		return access.User{}, &absent{fmt.Sprintf("the tenant has no user with object ID %s", id)}
	case err != nil:
		return access.User{}, err
	case found == nil || !strings.EqualFold(text(found.GetId()), id):
		return access.User{}, refuse(connectors.Unavailable, "Graph answered with another user than the one that was asked for")
	}
	return readUser(found)
}

func (s *session) accounts(ctx context.Context, ids []string) ([]access.User, error) {
	filter := "id in ('" + strings.Join(ids, "','") + "')"
	values, err := listed(ctx, s.users, &users.UsersRequestBuilderGetRequestConfiguration{
		QueryParameters: &users.UsersRequestBuilderGetQueryParameters{Select: userProperties(), Filter: &filter}})
	if err != nil {
		return nil, err
	}
	return readUsers(values)
}

// groupsOf lists the groups that a user is in, directly or through others. Graph answers this with parameters as an
// advanced query alone, which counts and says that it may be a moment behind; it wants that said for every page.
func (s *session) groupsOf(ctx context.Context, id string) ([]string, error) {
	list, counted := s.users.ByUserId(id).TransitiveMemberOf().GraphGroup(), true
	values, err := pages(func(next string) (page[models.Groupable], error) {
		if next != "" {
			return list.WithUrl(next).Get(ctx, &users.ItemTransitiveMemberOfGraphGroupRequestBuilderGetRequestConfiguration{Headers: advanced()})
		}
		return list.Get(ctx, &users.ItemTransitiveMemberOfGraphGroupRequestBuilderGetRequestConfiguration{Headers: advanced(),
			QueryParameters: &users.ItemTransitiveMemberOfGraphGroupRequestBuilderGetQueryParameters{Select: []string{"id"}, Count: &counted, Top: number32(pageRoom)}})
	})
	if err != nil {
		return nil, fmt.Errorf("list the user's groups: %w", err)
	}
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = strings.ToLower(text(v.GetId()))
	}
	return out, nil
}

func (s *session) everyoneIn(ctx context.Context, group string, most int) ([]access.User, bool, error) {
	list, counted, read := s.groups.ByGroupId(group).TransitiveMembers().GraphUser(), true, 0
	values, err := pages(func(next string) (page[models.Userable], error) {
		at, how := list, &groups.ItemTransitiveMembersGraphUserRequestBuilderGetRequestConfiguration{Headers: advanced()}
		switch {
		case next == "":
			how.QueryParameters = &groups.ItemTransitiveMembersGraphUserRequestBuilderGetQueryParameters{Select: userProperties(), Count: &counted, Top: number32(pageRoom)}
		case read >= most:
			return nil, errTooMany
		default:
			at = list.WithUrl(next)
		}
		p, err := at.Get(ctx, how)
		if err != nil || p == nil {
			return nil, err
		}
		read += len(p.GetValue())
		return p, nil
	})
	switch {
	case errors.Is(err, errTooMany), err == nil && len(values) > most:
		return nil, false, nil
	case missing(err):
		return nil, false, &absent{fmt.Sprintf("the tenant has no group with object ID %s", group)}
	case err != nil:
		return nil, false, err
	}
	members, err := readUsers(values)
	return members, err == nil, err
}

// errTooMany ends the reading of a list.
var errTooMany = errors.New("more than is read")

// advanced are the headers of an advanced query.
func advanced() *abstractions.RequestHeaders {
	h := abstractions.NewRequestHeaders()
	h.Add("ConsistencyLevel", "eventual")
	return h
}

func readUsers(values []models.Userable) ([]access.User, error) {
	out := make([]access.User, 0, len(values))
	for _, v := range values {
		u, err := readUser(v)
		if err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, nil
}

// readUser reads an account. Graph leaves out what the application may not see, and an account of which nobody says that
// it is enabled counts for nothing.
func readUser(v models.Userable) (access.User, error) {
	enabled := v.GetAccountEnabled()
	if text(v.GetId()) == "" || enabled == nil {
		return access.User{}, refuse(connectors.Denied, "Graph does not say whether the account of user %q is enabled; the application needs User.Read.All", text(v.GetId()))
	}
	return access.User{
		ID: strings.ToLower(text(v.GetId())), Name: text(v.GetDisplayName()), Email: text(v.GetMail()),
		Disabled: !*enabled, Guest: strings.EqualFold(text(v.GetUserType()), "Guest"),
	}, nil
}

// absent says that the tenant has no such user or group. It is the directory's word for that, too.
type absent struct{ text string }

func (a *absent) Error() string { return a.text }

func (a *absent) Unwrap() []error {
	return []error{access.ErrNotFound, &refusal{kind: connectors.NotFound, text: a.text}}
}
