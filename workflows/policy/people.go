package policy

import (
	"errors"

	"elevate/workflows/access"
)

// People compiles an expression over person alone, such as who administers. The function says no where the expression
// fails to evaluate. The error joins every fault of the expression.
func People(text string) (func(access.Person) bool, error) {
	scopes, err := newScopes()
	if err != nil {
		return nil, err
	}
	e, faults := scopes.people.compile(text)
	if len(faults) > 0 {
		errs := make([]error, len(faults))
		for i, f := range faults {
			errs[i] = errors.New(f)
		}
		return nil, errors.Join(errs...)
	}
	return func(p access.Person) bool {
		if p.ID == "" {
			return false
		}
		ok, err := e.holds(vars{person: &p})
		return ok && err == nil
	}, nil
}
