package policy

import (
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/ext"

	"elevate/workflows/access"
)

// costLimit ends an expression that does too much. A membership test costs about the length of its list, so this is
// room for comparing a few hundred groups with a few hundred others; the worst that fits takes about 100 ms.
const costLimit = 250_000

// longestExpression is in code points; the parser's own limit is 100,000.
const longestExpression = 10_000

// scope is a place that expressions stand in: what they may use there.
type scope struct {
	env    *cel.Env
	shapes shapes
	sees   []string
	// emptyLabels makes a missing label read as the empty string.
	emptyLabels bool
}

// scopes are all the places.
type scopes struct {
	match, ask, approve, people scope
}

func newScopes() (*scopes, error) {
	known := newShapes()
	base, err := cel.NewEnv(
		cel.OptionalTypes(),
		func(e *cel.Env) (*cel.Env, error) { // after the libraries, which add types of their own to CEL's provider
			return cel.CustomTypeProvider(provider{Provider: e.CELTypeProvider(), shapes: known})(e)
		},
		// Sets only compare. The libraries that build strings and ranges could fill the memory within the cost limit.
		ext.Sets(),
		cel.ParserExpressionSizeLimit(longestExpression),
		cel.ASTValidators(
			cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals(),
			cel.ValidateHomogeneousAggregateLiterals(),
		),
	)
	if err != nil {
		return nil, fmt.Errorf("set up expressions: %w", err)
	}
	of := map[string]string{"person": personType, "requester": personType, "role": roleType, "request": requestType}
	in := func(sees ...string) scope {
		var opts []cel.EnvOption
		for _, name := range sees {
			opts = append(opts, cel.Variable(name, known[of[name]].typ))
		}
		env, extendErr := base.Extend(opts...)
		err = errors.Join(err, extendErr)
		return scope{env: env, shapes: known, sees: sees}
	}
	s := &scopes{
		match:   in("role"),
		ask:     in("person", "role", "request"),
		approve: in("person", "requester", "role", "request"),
		people:  in("person"),
	}
	s.match.emptyLabels = true
	if err != nil {
		return nil, fmt.Errorf("declare variables: %w", err)
	}
	return s, nil
}

// expression is a compiled rule. It is safe for concurrent use.
type expression struct {
	program cel.Program
	shapes  shapes
	facts   facts
}

// compile gives the expression, or what is wrong with it, one sentence each.
func (s scope) compile(text string) (*expression, []string) {
	if strings.TrimSpace(text) == "" {
		return nil, []string{"is required: write a CEL expression"}
	}
	parsed, issues := s.env.Parse(text)
	if issues.Err() != nil {
		return nil, s.sentences(issues)
	}
	found := inspect(parsed.NativeRep())
	if s.emptyLabels {
		defaultLabels(parsed.NativeRep())
	}
	checked, issues := s.env.Check(parsed)
	if issues.Err() != nil {
		return nil, append(s.sentences(issues), found.faults...)
	}
	if len(found.faults) > 0 {
		return nil, found.faults
	}
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) {
		return nil, []string{fmt.Sprintf("must be true or false, and this is a value of type %s: compare it with something", t)}
	}
	found.findManager(checked.NativeRep())
	program, err := s.env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(costLimit))
	if err != nil {
		return nil, []string{err.Error()}
	}
	return &expression{program: program, shapes: s.shapes, facts: found}, nil
}

// sentences words what CEL found, with the place in the expression.
func (s scope) sentences(issues *cel.Issues) []string {
	var out []string
	for _, e := range issues.Errors() {
		message := s.reword(e.Message)
		switch line, column := e.Location.Line(), e.Location.Column()+1; {
		case line < 1:
			out = append(out, message)
		case line == 1:
			out = append(out, fmt.Sprintf("%s (character %d)", message, column))
		default:
			out = append(out, fmt.Sprintf("%s (line %d, character %d of the expression)", message, line, column))
		}
	}
	return out
}

// reword makes CEL's messages say what to write instead, where that can be told.
func (s scope) reword(message string) string {
	message, _, _ = strings.Cut(message, " expecting {") // a list of the parser's tokens
	message = strings.TrimSuffix(message, " (in container '')")
	switch {
	case strings.HasPrefix(message, "undeclared reference to '"):
		return message + "; this expression sees " + strings.Join(s.sees, ", ")
	case strings.HasPrefix(message, "undefined field '"):
		return fmt.Sprintf("%s; person has %s (requester manager, too), role has %s, request has %s", message,
			strings.TrimSuffix(strings.Join(s.shapes[personType].names(), ", "), ", manager"),
			strings.Join(s.shapes[roleType].names(), ", "), strings.Join(s.shapes[requestType].names(), ", "))
	}
	switch message {
	case "invalid matches argument":
		return "the argument of matches is no regular expression"
	case "invalid duration argument":
		return `the argument of duration is none; write one such as "1h30m"`
	case "invalid timestamp argument":
		return `the argument of timestamp is none; write one such as "2026-12-24T18:00:00Z"`
	}
	return message
}

// vars is what one evaluation sees; what is nil is not declared where the expression was compiled.
type vars struct {
	person, requester *access.Person
	role              *access.Role
	request           *Ask
}

// activation lends vars to one evaluation.
type activation struct {
	vars
	shapes shapes
}

// ResolveName implements cel.Activation.
func (a *activation) ResolveName(name string) (any, bool) {
	switch {
	case name == "person" && a.person != nil:
		return view{a.shapes[personType], *a.person}, true
	case name == "requester" && a.requester != nil:
		return view{a.shapes[personType], *a.requester}, true
	case name == "role" && a.role != nil:
		return view{a.shapes[roleType], *a.role}, true
	case name == "request" && a.request != nil:
		return view{a.shapes[requestType], *a.request}, true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (*activation) Parent() cel.Activation { return nil }

var errNoStart = errors.New("the rule reads when the request would start, and that is not known")

// holds evaluates the expression. It never panics: CEL turns panics into errors.
func (e *expression) holds(v vars) (bool, error) {
	if e.facts.readsStart && v.request != nil && v.request.Start.IsZero() {
		return false, errNoStart
	}
	out, _, err := e.program.Eval(&activation{vars: v, shapes: e.shapes})
	if err != nil {
		return false, err
	}
	answer, ok := out.Value().(bool)
	if !ok {
		return false, fmt.Errorf("the rule gave %s instead of true or false", out.Type().TypeName())
	}
	return answer, nil
}
