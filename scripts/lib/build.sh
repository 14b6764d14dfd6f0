# shellcheck shell=bash
# Builds the Pulumi tools from the Go modules in toolchain/, each verified by its go.sum.

# Go from its floor on fetches the version that the modules need by itself.
readonly GO_FLOOR=1.21.0
readonly GO_NEEDED=1.26.0
readonly GO_WORK="$CACHE_DIR/go"
readonly PULUMI_MODULE=github.com/pulumi/pulumi

# A compiler that optimises takes twice as long, which the tools would never win back: they wait for
# the engine. Go's own packages, which encrypt and hash, stay optimised.
readonly -a COMPILER_FLAGS=("-gcflags=all=-N -l" "-gcflags=std=")

build_tools() {
  local what="the Pulumi CLI and its Docker provider" minutes=5
  ! pulumi_ready || { what="the Docker provider" minutes=2; }
  say "Building $what from source, once: about $minutes minutes on 2 idle cores, live below;" \
    "what is built is kept if you interrupt it"
  provide_go
  export GOMODCACHE=${GOMODCACHE:-$GO_WORK/modules} GOCACHE=${GOCACHE:-$GO_WORK/build}
  export GOWORK=off CGO_ENABLED=0
  export GOFLAGS="-mod=readonly -modcacherw -buildvcs=false -trimpath"
  if ! pulumi_ready; then
    [[ -x $TOOLCHAIN_DIR/bin/pulumi ]] || step "Pulumi CLI" build_cli
    step "Pulumi language host for Python" build_language_host
  fi
  plugin_ready || step "Docker provider" build_provider
  [[ -n ${LLM_GATEWAY_KEEP_GOCACHE:-} ]] || rm -rf "${GO_WORK:?}"
}

# build <module directory> <package> <linker flags> <output> [flag...]
build() {
  local module=$1 package=$2 linker=$3 output=$4
  shift 4
  cd "$TOOLCHAIN_SOURCES/$module" || return
  "$GO" build -v "${COMPILER_FLAGS[@]}" -ldflags "-s -w $linker" "$@" \
    -o "$SCRATCH/built" "$package" || return
  mv "$SCRATCH/built" "$output"
}

# What the next builds need is downloaded while the compiler has work.
build_cli() {
  prefetch language-python "$PULUMI_MODULE/sdk/v3/python/cmd/pulumi-language-python" &
  { prepare_provider && prefetch provider-docker "${PROVIDER_FLAGS[@]}" .; } &
  build pulumi "$PULUMI_MODULE/pkg/v3/cmd/pulumi" \
    "-X $PULUMI_MODULE/sdk/v3/go/common/version.Version=$(module_version pulumi "$PULUMI_MODULE/pkg/v3")" \
    "$TOOLCHAIN_DIR/bin/pulumi" || return
  wait
}

prefetch() {
  cd "$TOOLCHAIN_SOURCES/$1" || return
  shift
  "$GO" list -deps "$@" >/dev/null 2>&1
}

module_version() {
  (cd "$TOOLCHAIN_SOURCES/$1" && "$GO" list -m -f '{{.Version}}' "$2")
}

# The script that the host runs programs by comes with the engine's version of the SDK.
build_language_host() {
  local sdk
  sdk=$(cd "$TOOLCHAIN_SOURCES/pulumi" && "$GO" list -m -f '{{.Dir}}' "$PULUMI_MODULE/sdk/v3") || return
  install -m 0755 "$sdk/python/cmd/pulumi-language-python-exec" "$TOOLCHAIN_DIR/bin/" || return
  build language-python "$PULUMI_MODULE/sdk/v3/python/cmd/pulumi-language-python" \
    "-X $PULUMI_MODULE/sdk/v3/go/common/version.Version=$(module_version language-python "$PULUMI_MODULE/sdk/v3")" \
    "$TOOLCHAIN_DIR/bin/pulumi-language-python"
}

# buildx brings a driver for Kubernetes, whose client is half of the provider's compile time. Go lays
# nothing over a downloaded module, so the build uses a copy of it, verified as it was downloaded,
# with an empty driver.
readonly -a PROVIDER_FLAGS=(-tags no_compose "-modfile=$SCRATCH/go.mod")
prepare_provider() {
  local sources=$TOOLCHAIN_SOURCES/provider-docker buildx=$SCRATCH/buildx downloaded
  [[ ! -e $buildx ]] || return 0
  cd "$sources" || return
  "$GO" mod download github.com/docker/buildx || return
  downloaded=$("$GO" list -m -f '{{.Dir}}' github.com/docker/buildx) || return
  cp -R "$downloaded" "$buildx.new" && chmod -R u+w "$buildx.new" || return
  rm "$buildx.new"/driver/kubernetes/*.go || return
  cp without/kubernetes/driver.go "$buildx.new/driver/kubernetes/" || return
  cp go.mod go.sum "$SCRATCH/" || return
  "$GO" mod edit -replace "github.com/docker/buildx=$buildx" "$SCRATCH/go.mod" || return
  mv "$buildx.new" "$buildx"
}

# A provider whose properties are not those of the SDK would fail at its users, so it is not kept.
build_provider() {
  prepare_provider || return
  build provider-docker . "-X main.version=$DOCKER_PLUGIN" "$SCRATCH/provider" \
    "${PROVIDER_FLAGS[@]}" || return
  "$SCRATCH/provider" -property-names | diff - "$TOOLCHAIN_SOURCES/provider-docker/schema.json" || {
    printf 'the provider built has other properties than toolchain/provider-docker/schema.json\n'
    return 1
  }
  mv "$SCRATCH/provider" "$TOOLCHAIN_DIR/plugin/pulumi-resource-docker" && link_plugin
}

# Sets GO: the one on PATH if it can build this, else one from a pinned wheel.
provide_go() {
  local version
  # Outside of any module, so that it does not fetch another version of itself to answer.
  version=$(cd / && go env GOVERSION 2>/dev/null) || version=
  if at_least "${version#go}" "$GO_NEEDED" ||
    { at_least "${version#go}" "$GO_FLOOR" && [[ $(cd / && go env GOTOOLCHAIN) != local ]]; }; then
    GO=go
    return
  fi
  GO=$GO_WORK/sdk/bin/go
  [[ -x $GO ]] || step "Go" install_go
}

install_go() {
  make_environment "$SCRATCH/go" "$TOOLCHAIN_SOURCES/go-requirements.txt" || return
  mkdir -p "$GO_WORK" && rm -rf "$GO_WORK/sdk" || return
  mv "$SCRATCH"/go/lib/python*/site-packages/go "$GO_WORK/sdk"
}
