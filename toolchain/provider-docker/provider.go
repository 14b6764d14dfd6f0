package main

import (
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/terraform-providers/terraform-provider-docker/internal/provider"
)

const (
	// Docker accepts names up to this length for everything that is named here.
	maxNameLength = 255

	packageName = "docker"
	moduleName  = "index"
)

// providerInfo maps the Terraform provider to the tokens that the pulumi-docker SDK registers.
func providerInfo() tfbridge.ProviderInfo {
	info := tfbridge.ProviderInfo{
		P:           shimv2.NewProvider(provider.New(version)()),
		Name:        packageName,
		Version:     version,
		DisplayName: "Docker",
		Config: map[string]*tfbridge.SchemaInfo{
			"host":          {Default: &tfbridge.DefaultInfo{EnvVars: []string{"DOCKER_HOST"}}},
			"registry_auth": {Name: "registryAuth"},
		},
		Resources: map[string]*tfbridge.ResourceInfo{
			"docker_buildx_builder": {Tok: resourceToken("BuildxBuilder")},
			"docker_config":         {Tok: resourceToken("ServiceConfig")},
			// A fixed name or host port cannot exist twice, so the published provider deletes first;
			// programs that let the engine name their containers opt out per resource.
			"docker_container": {
				Tok:                 resourceToken("Container"),
				DeleteBeforeReplace: true,
				Fields: map[string]*tfbridge.SchemaInfo{
					"command":           {Name: "command"},
					"networks_advanced": {Name: "networksAdvanced"},
				},
			},
			"docker_image":          {Tok: resourceToken("RemoteImage")},
			"docker_network":        {Tok: resourceToken("Network")},
			"docker_plugin":         {Tok: resourceToken("Plugin")},
			"docker_registry_image": {Tok: resourceToken("RegistryImage")},
			"docker_secret":         {Tok: resourceToken("Secret")},
			"docker_service":        {Tok: resourceToken("Service")},
			"docker_tag":            {Tok: resourceToken("Tag")},
			"docker_volume":         {Tok: resourceToken("Volume")},
		},
		DataSources: map[string]*tfbridge.DataSourceInfo{
			"docker_image":                    {Tok: functionToken("getRemoteImage")},
			"docker_logs":                     {Tok: functionToken("getLogs")},
			"docker_network":                  {Tok: functionToken("getNetwork")},
			"docker_plugin":                   {Tok: functionToken("getPlugin")},
			"docker_registry_image":           {Tok: functionToken("getRegistryImage")},
			"docker_registry_image_manifests": {Tok: functionToken("getRegistryImageManifests")},
		},
	}
	info.SetAutonaming(maxNameLength, "-")
	return info
}

func resourceToken(name string) tokens.Type {
	return tfbridge.MakeResource(packageName, moduleName, name)
}

func functionToken(name string) tokens.ModuleMember {
	return tokens.ModuleMember(tfbridge.MakeDataSource(packageName, moduleName, name))
}
