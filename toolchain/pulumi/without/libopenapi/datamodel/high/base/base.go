// Package base declares the schema types that `pulumi api` names.
package base

import (
	"errors"

	"github.com/pb33f/libopenapi/orderedmap"
	"go.yaml.in/yaml/v4"
)

// DynamicValue is a schema or a boolean.
type DynamicValue[A any, B any] struct {
	N int
	A A
	B B
}

// IsA reports which of the two it is.
func (v *DynamicValue[A, B]) IsA() bool { return v.N == 0 }

// Discriminator tells the variants of a schema apart.
type Discriminator struct {
	PropertyName string
	Mapping      *orderedmap.Map[string, string]
}

// Info describes a document.
type Info struct{ Version string }

// SchemaProxy is a reference to a schema.
type SchemaProxy struct{}

// Schema returns nil.
func (*SchemaProxy) Schema() *Schema { return nil }

// Schema is a schema.
type Schema struct {
	Type                 []string
	Format               string
	Description          string
	Title                string
	Pattern              string
	Nullable             *bool
	ReadOnly             *bool
	WriteOnly            *bool
	Deprecated           *bool
	UniqueItems          *bool
	Minimum              *float64
	Maximum              *float64
	MinLength            *int64
	MaxLength            *int64
	MinItems             *int64
	MaxItems             *int64
	MinProperties        *int64
	MaxProperties        *int64
	MultipleOf           *float64
	Default              *yaml.Node
	Const                *yaml.Node
	Example              *yaml.Node
	Enum                 []*yaml.Node
	Required             []string
	AllOf                []*SchemaProxy
	AnyOf                []*SchemaProxy
	OneOf                []*SchemaProxy
	Discriminator        *Discriminator
	Properties           *orderedmap.Map[string, *SchemaProxy]
	Items                *DynamicValue[*SchemaProxy, bool]
	AdditionalProperties *DynamicValue[*SchemaProxy, bool]
	Extensions           *orderedmap.Map[string, *yaml.Node]
}

// Low is what a schema was read from.
type Low struct{}

// Hash returns 0.
func (*Low) Hash() uint64 { return 0 }

// GoLow returns nil.
func (*Schema) GoLow() *Low { return nil }

// MarshalJSONInline always fails.
func (*Schema) MarshalJSONInline() ([]byte, error) { return nil, errors.ErrUnsupported }
