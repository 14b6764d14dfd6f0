// Package kubernetes stands in for buildx's driver of that name, which builds images in a Kubernetes
// cluster: its client is half of the provider's compile time, and nothing here builds that way.
// scripts/bootstrap lays this file over the driver's own; a builder that asks for the driver is told
// that there is none.
package kubernetes
