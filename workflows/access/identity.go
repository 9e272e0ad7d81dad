package access

import "time"

// Identity is what the identity provider says of somebody who has just signed in, as far as it was checked.
type Identity struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"` // the claim that names people, which no person can change and no other ever gets
	// Email is set where the provider says that it has confirmed it.
	Email  string    `json:"email,omitempty"`
	Groups []string  `json:"groups,omitempty"`
	At     time.Time `json:"at"` // when the provider said so
	// Offline says that the provider can be asked again for the groups while the person is away: those above are not
	// believed then.
	Offline bool `json:"offline,omitempty"`
	// Overage says that the person is in more groups than the provider writes down, so that Groups are not all.
	Overage bool `json:"overage,omitempty"`
}

// Token is what the identity provider is asked by for the groups of a link's person, and what it said last.
type Token struct {
	Chat    string `json:"chat"`
	Account string `json:"account"`
	Sealed  string `json:"sealed"` // a refresh token of OAuth
	// Groups, and Overage as in Identity, are as the provider said At that time; zero: it was not asked yet.
	Groups  []string  `json:"groups,omitempty"`
	Overage bool      `json:"overage,omitempty"`
	At      time.Time `json:"at,omitzero"`
}

// LinkKind says what a link between a chat account and a person rests on. Links that the configuration writes down are
// not kept, and have none.
type LinkKind string

// The kinds of link.
const (
	LinkOIDC  LinkKind = "oidc"  // the person signed in at the identity provider, and typed the word shown there
	LinkEmail LinkKind = "email" // the chat has confirmed an e-mail address that is one person's
)

// Link says that a chat account is a person's.
type Link struct {
	// Version is the Unix millisecond of its last change, and more than that of the one before it.
	Version int64 `json:"version,omitempty"`

	Chat    string    `json:"chat"`
	Account string    `json:"account"` // as the chat names it
	Person  PersonID  `json:"person"`
	Kind    LinkKind  `json:"kind"`
	At      time.Time `json:"at"` // since when
	// Identity is who signed in, for LinkOIDC.
	Identity *Identity `json:"identity,omitempty"`
	// Email and Name are what the chat said when the link was believed, for LinkEmail. Another word of it suspends the link.
	Email string `json:"email,omitempty"`
	Name  string `json:"name,omitempty"`
	// Confirmed is the administrator who vouched for it after it was suspended.
	Confirmed PersonID `json:"confirmed,omitempty"`
	// Suspended is since when the link counts for nothing, and Why a sentence part: "its name changed".
	Suspended time.Time `json:"suspended,omitzero"`
	Why       string    `json:"why,omitempty"`
	// Token is kept beside a link that is made with it, and goes with any change of the link. It is never part of one
	// that was read.
	Token *Token `json:"-"`
}

// Profile is a chat's word on one of its accounts.
type Profile struct {
	Account   string
	Name      string
	Email     string
	Confirmed bool // the chat has confirmed the address
}

// User is somebody's account in a directory outside, as it is now.
type User struct {
	ID       string // which nobody can change, and no other ever gets
	Name     string
	Email    string
	Disabled bool
	Guest    bool     // of another organisation
	Groups   []string // the ids of those it is in, directly or through others, where they were asked for
}
