package policy

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"elevate/workflows/access"
)

// shape is a type that expressions know: its fields, and how to read each from the domain's own value.
type shape struct {
	typ    *cel.Type
	fields []field
	// same tells whether two values are equal to ==.
	same func(a, b any) bool
}

type field struct {
	name string
	typ  *cel.Type
	get  func(any) any
	// required is the failure of reading the field where it is empty; nil: that is no failure.
	required error
}

// read makes a field of a getter on the domain's type.
func read[T any](name string, typ *cel.Type, get func(T) any) field {
	return field{name: name, typ: typ, get: func(v any) any { return get(v.(T)) }}
}

// shapes are the types that expressions know, by CEL's name for them.
type shapes map[string]*shape

const (
	personType  = "elevate.person"
	roleType    = "elevate.role"
	requestType = "elevate.request"
)

func newShapes() shapes {
	type (
		p = access.Person
		r = access.Role
	)
	texts := cel.ListType(cel.StringType)
	return shapes{
		personType: {
			typ: cel.ObjectType(personType),
			fields: []field{
				read("id", cel.StringType, func(v p) any { return string(v.ID) }),
				read("name", cel.StringType, func(v p) any { return v.Name }),
				read("email", cel.StringType, func(v p) any { return v.Email }),
				read("kind", cel.StringType, func(v p) any { return kindOf(v) }),
				read("groups", texts, func(v p) any { return v.Groups }),
				managerField(),
			},
			same: func(a, b any) bool { return a.(p).ID == b.(p).ID },
		},
		roleType: {
			typ: cel.ObjectType(roleType),
			fields: []field{
				read("id", cel.StringType, func(v r) any { return string(v.ID) }),
				read("title", cel.StringType, func(v r) any { return v.Title }),
				read("connector", cel.StringType, func(v r) any { return v.Connector }),
				read("labels", cel.MapType(cel.StringType, cel.StringType), func(v r) any { return v.Labels }),
				read("target", cel.MapType(cel.StringType, cel.DynType), func(v r) any { return v.Target }),
			},
			same: func(a, b any) bool { return a.(r).ID == b.(r).ID },
		},
		requestType: {
			typ: cel.ObjectType(requestType),
			fields: []field{
				read("duration", cel.DurationType, func(v Ask) any { return v.Duration }),
				read("justification", cel.StringType, func(v Ask) any { return v.Justification }),
				read("ticket", cel.StringType, func(v Ask) any { return v.Ticket }),
				read("start", cel.TimestampType, func(v Ask) any { return v.Start.UTC() }),
				read("weekday", cel.StringType, func(v Ask) any { return strings.ToLower(v.Start.UTC().Weekday().String()) }),
				read("hour", cel.IntType, func(v Ask) any { return v.Start.UTC().Hour() }),
			},
			same: func(a, b any) bool { return a.(Ask) == b.(Ask) },
		},
	}
}

// errNoManager is what reading a manager gives where there is none. Empty would match too much: another who has none.
var errNoManager = errors.New("the requester has no manager")

func managerField() field {
	f := read("manager", cel.StringType, func(v access.Person) any { return string(v.Manager) })
	f.required = errNoManager
	return f
}

func kindOf(p access.Person) string {
	if p.Kind == "" {
		return string(access.Human)
	}
	return string(p.Kind)
}

// provider adds the shapes to CEL's own types. Expressions can read them and cannot make them.
type provider struct {
	types.Provider
	shapes shapes
}

// FindStructType implements types.Provider.
func (p provider) FindStructType(name string) (*types.Type, bool) {
	if s, ok := p.shapes[name]; ok {
		return types.NewTypeTypeWithParam(s.typ), true
	}
	return p.Provider.FindStructType(name)
}

// FindStructFieldNames implements types.Provider.
func (p provider) FindStructFieldNames(name string) ([]string, bool) {
	if s, ok := p.shapes[name]; ok {
		return s.names(), true
	}
	return p.Provider.FindStructFieldNames(name)
}

// FindStructFieldType implements types.Provider.
func (p provider) FindStructFieldType(name, wanted string) (*types.FieldType, bool) {
	s, ok := p.shapes[name]
	if !ok {
		return p.Provider.FindStructFieldType(name, wanted)
	}
	i := slices.IndexFunc(s.fields, func(f field) bool { return f.name == wanted })
	if i < 0 {
		return nil, false
	}
	f := s.fields[i]
	isSet := func(v any) bool { return !reflect.ValueOf(f.get(v)).IsZero() }
	return &types.FieldType{
		Type:  f.typ,
		IsSet: isSet,
		GetFrom: func(v any) (any, error) {
			if f.required != nil && !isSet(v) {
				return nil, f.required
			}
			return f.get(v), nil
		},
	}, true
}

// NewValue implements types.Provider.
func (p provider) NewValue(name string, fields map[string]ref.Val) ref.Val {
	if _, ok := p.shapes[name]; ok {
		return types.NewErr("%s cannot be made in an expression", name)
	}
	return p.Provider.NewValue(name, fields)
}

func (s *shape) names() []string {
	out := make([]string, len(s.fields))
	for i, f := range s.fields {
		out[i] = f.name
	}
	return out
}

// view is a value of a shape, as CEL handles it.
type view struct {
	shape *shape
	value any
}

var _ ref.Val = view{}

// ConvertToNative implements ref.Val.
func (v view) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("%s cannot become %v", v.shape.typ, t)
}

// ConvertToType implements ref.Val.
func (v view) ConvertToType(t ref.Type) ref.Val {
	switch t.TypeName() {
	case v.shape.typ.TypeName():
		return v
	case types.TypeType.TypeName():
		return v.shape.typ
	}
	return types.NewErr("%s cannot become %s", v.shape.typ, t.TypeName())
}

// Equal implements ref.Val: persons and roles are the same by their ids.
func (v view) Equal(other ref.Val) ref.Val {
	o, ok := other.(view)
	return types.Bool(ok && o.shape == v.shape && v.shape.same(v.value, o.value))
}

// Type implements ref.Val.
func (v view) Type() ref.Type { return v.shape.typ }

// Value implements ref.Val.
func (v view) Value() any { return v.value }
