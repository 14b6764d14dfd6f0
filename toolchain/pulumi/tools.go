//go:build tools

// Package tools pins the Pulumi CLI that scripts/bootstrap builds.
package tools

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
