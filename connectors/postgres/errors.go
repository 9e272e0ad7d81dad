package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"elevate/connectors"
)

// refusal is an error of the connector's own finding.
type refusal struct {
	kind connectors.Kind
	text string
}

func (r *refusal) Error() string { return r.text }

func refuse(kind connectors.Kind, format string, args ...any) error {
	return &refusal{kind, fmt.Sprintf(format, args...)}
}

// failed names what was tried and gives the error its kind. A nil error stays nil.
func failed(op string, err error) error {
	if err == nil {
		return nil
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		// The cause alone: the error itself carries the configuration with the password.
		err = fmt.Errorf("connect as %s: %w", connect.Config.User, connect.Unwrap())
	}
	return &connectors.Error{Kind: kindOf(err), Op: op, Err: err}
}

// kindOf reads the SQLSTATE of a server's error. What is not listed may pass, or leaves the effect unknown.
func kindOf(err error) connectors.Kind {
	var own *refusal
	if errors.As(err, &own) {
		return own.kind
	}
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return connectors.Unavailable
	}
	switch server.Code {
	case "28000", "28P01", // authentication
		"42501", // insufficient_privilege
		"3D000": // no such database: memberships may be there all the same
		return connectors.Denied
	case "42704": // undefined_object
		return connectors.NotFound
	case "0LP01", // invalid_grant_operation: a loop of memberships
		"42939",          // reserved_name
		"22021", "22P05": // characters that the server's encoding has not got
		return connectors.Invalid
	case "53300", "53400": // too many connections, configured limit
		return connectors.Throttled
	}
	return connectors.Unavailable
}

// onStandby tells whether the server refused to write because it is a standby.
func onStandby(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && (server.Code == "0A000" || server.Code == "25006")
}
