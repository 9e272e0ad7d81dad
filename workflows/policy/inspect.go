package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// facts is what can be told of an expression without evaluating it.
type facts struct {
	labels     []string // constant labels of role that it reads or tests for
	readsKind  bool     // it reads person.kind
	readsStart bool     // it reads request.start, weekday or hour
	// readsManager tells that it reads a manager, or tests for one; testsManager that it can be true because there is none.
	readsManager, testsManager bool
	faults                     []string // constants that cannot be what was meant
}

var weekdays = []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}

func inspect(a *ast.AST) facts {
	var f facts
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch {
		case isField(e, "person", "kind"):
			f.readsKind = true
		case isField(e, "request", "start"), isField(e, "request", "weekday"), isField(e, "request", "hour"):
			f.readsStart = true
		case isField(e, "person", "manager"):
			f.faults = append(f.faults, "reads person.manager, and a manager is known of the requester alone: write person.id == requester.manager")
		}
		if name, ok := labelRead(e); ok && name != "" {
			f.labels = append(f.labels, name)
		}
		if e.Kind() == ast.CallKind {
			f.faults = append(f.faults, wrongWeekdays(e.AsCall())...)
			f.faults = append(f.faults, wrongZone(e.AsCall())...)
		}
	}))
	slices.Sort(f.labels)
	f.labels = slices.Compact(f.labels)
	return f
}

// findManager finds by the types of a checked expression whether it depends on a manager, by whatever name the person goes
// there. To read one that is not there is a failure, and nothing is true because of it; to test for one is none.
func (f *facts) findManager(a *ast.AST) {
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		var of ast.Expr
		tests := false
		switch {
		case e.Kind() == ast.SelectKind && e.AsSelect().FieldName() == "manager":
			of, tests = e.AsSelect().Operand(), e.AsSelect().IsTestOnly()
		case isCall(e, operators.OptSelect) && text(e.AsCall().Args()[1]) == "manager":
			of, tests = e.AsCall().Args()[0], true
		default:
			return
		}
		t := a.GetType(of.ID())
		if len(t.Parameters()) == 1 && t.IsExactType(types.NewOptionalType(t.Parameters()[0])) {
			t = t.Parameters()[0]
			tests = true // what is selected from nothing is nothing
		}
		if t.TypeName() == personType {
			f.readsManager, f.testsManager = true, f.testsManager || tests
		}
	}))
}

// defaultLabels makes every plain read of a label of role give the empty string where the role does not have it:
// role.labels.x and role.labels[x] become role.labels[?x].orValue(""). Presence tests stay as they are.
func defaultLabels(a *ast.AST) {
	next := ast.MaxID(a)
	id := func() int64 { next++; return next }
	f := ast.NewExprFactory()
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		var labels, key ast.Expr
		switch {
		case e.Kind() == ast.SelectKind && !e.AsSelect().IsTestOnly() && isLabels(e.AsSelect().Operand()):
			labels, key = e.AsSelect().Operand(), f.NewLiteral(id(), types.String(e.AsSelect().FieldName()))
		case isCall(e, operators.Index) && isLabels(e.AsCall().Args()[0]):
			labels, key = e.AsCall().Args()[0], e.AsCall().Args()[1]
		default:
			return
		}
		optional := f.NewCall(id(), operators.OptIndex, f.CopyExpr(labels), f.CopyExpr(key))
		e.SetKindCase(f.NewMemberCall(id(), "orValue", optional, f.NewLiteral(id(), types.String(""))))
	}))
}

// labelRead tells whether the expression reads or tests for a label of role, and which where it is a constant.
func labelRead(e ast.Expr) (name string, ok bool) {
	if e.Kind() == ast.SelectKind && isLabels(e.AsSelect().Operand()) {
		return e.AsSelect().FieldName(), true
	}
	for _, op := range []string{operators.Index, operators.OptIndex, operators.OptSelect} {
		if isCall(e, op) && isLabels(e.AsCall().Args()[0]) {
			return text(e.AsCall().Args()[1]), true
		}
	}
	if isCall(e, operators.In) && isLabels(e.AsCall().Args()[1]) {
		return text(e.AsCall().Args()[0]), true
	}
	return "", false
}

func isLabels(e ast.Expr) bool { return isField(e, "role", "labels") }

func isField(e ast.Expr, variable, field string) bool {
	if e.Kind() != ast.SelectKind || e.AsSelect().FieldName() != field {
		return false
	}
	operand := e.AsSelect().Operand()
	return operand.Kind() == ast.IdentKind && operand.AsIdent() == variable
}

func isCall(e ast.Expr, function string) bool {
	return e.Kind() == ast.CallKind && e.AsCall().FunctionName() == function
}

// text is the value of a string constant, or empty.
func text(e ast.Expr) string {
	if e.Kind() != ast.LiteralKind {
		return ""
	}
	s, _ := e.AsLiteral().Value().(string)
	return s
}

// wrongWeekdays finds comparisons of request.weekday with what no weekday is called.
func wrongWeekdays(c ast.CallExpr) []string {
	switch c.FunctionName() {
	case operators.Equals, operators.NotEquals, operators.In:
	default:
		return nil
	}
	if !slices.ContainsFunc(c.Args(), func(e ast.Expr) bool { return isField(e, "request", "weekday") }) {
		return nil
	}
	var out []string
	for _, arg := range c.Args() {
		named := []ast.Expr{arg}
		if arg.Kind() == ast.ListKind {
			named = arg.AsList().Elements()
		}
		for _, e := range named {
			if s := text(e); s != "" && !slices.Contains(weekdays, s) {
				out = append(out, fmt.Sprintf("compares request.weekday with %q, and weekdays are %s", s, strings.Join(weekdays, ", ")))
			}
		}
	}
	return out
}

// wrongZone finds time zones that do not exist; such a rule would refuse for ever.
func wrongZone(c ast.CallExpr) []string {
	if !c.IsMemberFunction() || !strings.HasPrefix(c.FunctionName(), "get") || len(c.Args()) != 1 {
		return nil
	}
	zone := text(c.Args()[0])
	if zone == "" || strings.Contains(zone, ":") { // an offset such as +02:00
		return nil
	}
	if _, err := time.LoadLocation(zone); err != nil {
		return []string{fmt.Sprintf("%s(%q): there is no such time zone; write one such as Europe/Lisbon", c.FunctionName(), zone)}
	}
	return nil
}
