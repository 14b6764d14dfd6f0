// Package libopenapi stands in for the OpenAPI library that the Pulumi CLI reads Pulumi Cloud's
// API description with, for `pulumi api` alone. The library is a quarter of the CLI's compile time;
// with this in its place `pulumi api` reports that it was left out, and nothing else differs.
package libopenapi

import (
	"errors"

	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
)

// Document is an OpenAPI document, which this build cannot read.
type Document struct{}

// Model holds the model of a document.
type Model struct{ Model v3.Document }

// NewDocument always fails.
func NewDocument([]byte) (Document, error) {
	return Document{}, errors.New("`pulumi api` is left out of this build: install Pulumi's own release for it")
}

// BuildV3Model is never reached: there is no document to call it on.
func (Document) BuildV3Model() (*Model, error) {
	return nil, errors.ErrUnsupported
}
