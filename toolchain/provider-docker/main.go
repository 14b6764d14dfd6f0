// Command pulumi-resource-docker serves the Terraform Docker provider to the Pulumi engine under
// the tokens and property names of the published pulumi-docker SDK.
package main

import (
	"encoding/json"
	"log"
	"os"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
)

// version is set by the linker: the engine asks for exactly the version that the SDK names.
var version = "0.0.0-dev"

func main() {
	info := providerInfo()
	if len(os.Args) == 2 && os.Args[1] == "-property-names" {
		if err := printPropertyNames(info); err != nil {
			log.Fatal(err)
		}
		return
	}
	tfbridge.Main("docker", version, info, nil)
}

func printPropertyNames(info tfbridge.ProviderInfo) error {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(propertyNames(info))
}
