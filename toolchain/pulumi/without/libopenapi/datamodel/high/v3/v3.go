// Package v3 declares the document types that `pulumi api` names.
package v3

import (
	"github.com/pb33f/libopenapi/datamodel/high/base"
	"github.com/pb33f/libopenapi/orderedmap"
	"go.yaml.in/yaml/v4"
)

// Document is an API description.
type Document struct {
	Info       *base.Info
	Paths      *Paths
	Components *Components
}

// Components holds the shared schemas.
type Components struct {
	Schemas *orderedmap.Map[string, *base.SchemaProxy]
}

// Paths holds the paths.
type Paths struct {
	PathItems *orderedmap.Map[string, *PathItem]
}

// PathItem holds a path's operations.
type PathItem struct{ Get, Post, Put, Delete, Patch, Head *Operation }

// Operation is one method of a path.
type Operation struct {
	OperationId string
	Summary     string
	Description string
	Tags        []string
	Deprecated  *bool
	Parameters  []*Parameter
	RequestBody *RequestBody
	Responses   *Responses
	Extensions  *orderedmap.Map[string, *yaml.Node]
}

// Parameter is an operation's parameter.
type Parameter struct {
	Name        string
	In          string
	Description string
	Required    *bool
	Schema      *base.SchemaProxy
}

// RequestBody is what an operation takes.
type RequestBody struct {
	Content *orderedmap.Map[string, *MediaType]
}

// MediaType is a body's shape.
type MediaType struct{ Schema *base.SchemaProxy }

// Responses is what an operation answers.
type Responses struct {
	Codes   *orderedmap.Map[string, *Response]
	Default *Response
}

// Response is one answer.
type Response struct {
	Description string
	Content     *orderedmap.Map[string, *MediaType]
}
