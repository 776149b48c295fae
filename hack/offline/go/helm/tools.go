//go:build tools

// Package tools pins the main packages that hack/offline/binaries.sh builds; go.mod and go.sum pin everything below them.
package tools

import (
	_ "helm.sh/helm/v3/cmd/helm"
)
