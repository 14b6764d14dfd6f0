package main

import (
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim"
)

// property is one Pulumi property as the engine sees it.
type property struct {
	// Type is string, boolean, integer, number or object, inside [] for a list and {} for a map.
	Type       string              `json:"type"`
	Properties map[string]property `json:"properties,omitempty"`
}

// propertyNames returns, by type token, what the engine will see of every resource and function.
func propertyNames(info tfbridge.ProviderInfo) map[string]map[string]property {
	names := map[string]map[string]property{
		"pulumi:providers:" + info.Name: describe(info.P.Schema(), info.Config),
	}
	for key, resource := range info.Resources {
		fields := info.P.ResourcesMap().Get(key).Schema()
		names[string(resource.Tok)] = describe(fields, resource.Fields)
	}
	for key, source := range info.DataSources {
		fields := info.P.DataSourcesMap().Get(key).Schema()
		names[string(source.Tok)] = describe(fields, source.Fields)
	}
	return names
}

func describe(fields shim.SchemaMap, overrides map[string]*tfbridge.SchemaInfo) map[string]property {
	described := map[string]property{}
	fields.Range(func(key string, field shim.Schema) bool {
		// Every resource has an id; the SDK never declares it as a property.
		if key != "id" {
			name := tfbridge.TerraformToPulumiNameV2(key, fields, overrides)
			described[name] = describeField(field, overrides[key])
		}
		return true
	})
	return described
}

func describeField(field shim.Schema, override *tfbridge.SchemaInfo) property {
	switch field.Type() {
	case shim.TypeList, shim.TypeSet:
		element := describeElement(field, override)
		if !tfbridge.IsMaxItemsOne(field, override) {
			element.Type = "[" + element.Type + "]"
		}
		return element
	case shim.TypeMap:
		element := describeElement(field, override)
		element.Type = "{" + element.Type + "}"
		return element
	default:
		return property{Type: scalarType(field.Type())}
	}
}

func describeElement(field shim.Schema, override *tfbridge.SchemaInfo) property {
	if override == nil {
		override = &tfbridge.SchemaInfo{}
	}
	switch element := field.Elem().(type) {
	case shim.Resource:
		var overrides map[string]*tfbridge.SchemaInfo
		if override.Elem != nil {
			overrides = override.Elem.Fields
		}
		return property{Type: "object", Properties: describe(element.Schema(), overrides)}
	case shim.Schema:
		return describeField(element, override.Elem)
	default:
		return property{Type: "string"}
	}
}

func scalarType(valueType shim.ValueType) string {
	switch valueType {
	case shim.TypeBool:
		return "boolean"
	case shim.TypeInt:
		return "integer"
	case shim.TypeFloat:
		return "number"
	default:
		return "string"
	}
}
