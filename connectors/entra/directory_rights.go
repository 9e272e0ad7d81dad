package entra

import (
	"context"
)

// needs lists what a directory cannot do without. It makes use of nothing else.
func (d *Directory) needs() []permission {
	required := []permission{seeUsers()}
	if len(d.groups) > 0 {
		required = append(required, permission{"GroupMember.Read.All",
			[]string{"GroupMember.ReadWrite.All", "Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}, "to see who is in a group"})
	}
	return required
}

// Check signs in, lists what the application lacks, and makes a call that changes nothing.
func (d *Directory) Check(ctx context.Context) error {
	return d.tenant.run(ctx, "check", func(ctx context.Context, s *session) error {
		if err := s.lacks(d.needs()); err != nil {
			return err
		}
		return s.knock(ctx)
	})
}

// Surplus lists permissions that the application has and a directory makes no use of.
func (d *Directory) Surplus(ctx context.Context) ([]string, error) {
	var out []string
	err := d.tenant.run(ctx, "look for surplus rights", func(_ context.Context, s *session) error {
		out = s.token.beyond(d.needs())
		return nil
	})
	return out, err
}
