package activedirectory

import (
	"errors"
	"fmt"

	"github.com/go-ldap/ldap/v3"

	"elevate/connectors"
)

// errUnreached tells that a controller could not be talked to at all, so that another may be asked.
var errUnreached = errors.New("cannot be reached")

// refuse makes an error of the connector's own finding; failed says later what was tried.
func refuse(kind connectors.Kind, format string, args ...any) error {
	return &connectors.Error{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// failed names what was tried and gives the error its kind. A nil error stays nil.
func failed(op string, err error) error {
	if err == nil {
		return nil
	}
	return &connectors.Error{Kind: kindOf(err), Op: op, Err: err}
}

// kindOf reads a result code. What is not listed may pass, or leaves the effect unknown.
func kindOf(err error) connectors.Kind {
	var own *connectors.Error
	if errors.As(err, &own) {
		return own.Kind
	}
	var result *ldap.Error
	if !errors.As(err, &result) {
		return connectors.Unavailable
	}
	switch result.ResultCode {
	case ldap.LDAPResultInvalidCredentials, ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultStrongAuthRequired,
		ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultConfidentialityRequired:
		return connectors.Denied
	case ldap.LDAPResultNoSuchObject:
		return connectors.NotFound
	case ldap.LDAPResultInvalidDNSyntax, ldap.LDAPResultInvalidAttributeSyntax, ldap.LDAPResultObjectClassViolation,
		ldap.LDAPResultUndefinedAttributeType, ldap.LDAPResultConstraintViolation:
		return connectors.Invalid
	case ldap.LDAPResultAdminLimitExceeded:
		return connectors.Throttled
	}
	return connectors.Unavailable
}

// settledBefore tells whether a change was refused because it had been made already. Microsoft's and Samba's controllers
// say so by 68 and 53, other servers by 20 and 16. 53 means other things too, so nobody believes it before looking again.
func settledBefore(err error) bool {
	return ldap.IsErrorAnyOf(err, ldap.LDAPResultEntryAlreadyExists, ldap.LDAPResultAttributeOrValueExists,
		ldap.LDAPResultUnwillingToPerform, ldap.LDAPResultNoSuchAttribute)
}

// said is what a controller answered to a change that a look then found not to be made.
func said(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}
