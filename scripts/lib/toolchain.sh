# shellcheck shell=bash
# The Pulumi CLI with its Python language host, and the Docker provider: the ones on PATH, else
# Pulumi's own releases, else built from the Go modules in toolchain/.
#
# Everything made here lies in $TOOLCHAIN_DIR, which is named after the content of toolchain/, and
# is moved into place whole: what is there is complete.

readonly PULUMI_FLOOR=3.238.0
readonly PULUMI_RELEASE=3.272.0
readonly DOCKER_PLUGIN=5.2.0
readonly DOWNLOAD_ANSWER_SECONDS=5
readonly DOWNLOAD_SECONDS=300
readonly RELEASES=${LLM_GATEWAY_PULUMI_RELEASES:-https://github.com/pulumi/pulumi/releases/download/v$PULUMI_RELEASE}
readonly CHECKSUMS="pulumi-$PULUMI_RELEASE-checksums.txt"
readonly PLUGIN_PATH="plugins/resource-docker-v$DOCKER_PLUGIN/pulumi-resource-docker"
readonly TOOLCHAIN_SOURCES="$CHECKOUT/toolchain"
readonly SCRATCH="$CACHE_DIR/tmp.$$"

toolchain_dir() {
  local key
  key=$(cd "$TOOLCHAIN_SOURCES" &&
    { uname -sm; find ./*/ -type f | LC_ALL=C sort | while read -r file; do
      printf '%s\n' "$file"
      cat "$file"
    done; } | sha256)
  printf '%s/toolchain/%.16s\n' "$CACHE_DIR" "$key"
}

# --- what is there -------------------------------------------------------------------------------

tools_ready() { pulumi_ready && plugin_ready; }

# Sets TOOLS_BIN to the directory of the CLI that will be used; empty means the one on PATH.
pulumi_ready() {
  if pulumi_on_path; then
    TOOLS_BIN=
  elif [[ -x $TOOLCHAIN_DIR/bin/pulumi && -x $TOOLCHAIN_DIR/bin/pulumi-language-python ]]; then
    TOOLS_BIN=$TOOLCHAIN_DIR/bin
  else
    return 1
  fi
}

# A CLI in the cache is not the user's own, even when an earlier `--env` put it on PATH.
pulumi_on_path() {
  local found version
  found=$(command -v pulumi) || return 1
  [[ $found != "$CACHE_DIR"/* ]] || return 1
  have pulumi-language-python || [[ -x ${found%/*}/pulumi-language-python ]] || return 1
  version=$(pulumi version 2>/dev/null) || return 1
  at_least "${version#v}" "$PULUMI_FLOOR"
}

# at_least <version> <floor>: numbers only; a pre-release counts as its release.
at_least() {
  local IFS=. i
  local -a version floor
  read -r -a version <<<"${1%%[-+]*}"
  read -r -a floor <<<"$2"
  for i in 0 1 2; do
    ((${version[i]:-0} == ${floor[i]:-0})) || { ((${version[i]:-0} > ${floor[i]:-0})); return; }
  done
}

# The user's own Pulumi home serves if its plugin is there. Otherwise the plugin goes into a home of
# ours, so that a provider built here never stands in for the published one in other projects.
plugin_ready() {
  if [[ -x $USER_PULUMI_HOME/$PLUGIN_PATH ]]; then
    TOOLS_HOME=$USER_PULUMI_HOME
  elif [[ $OWN_PULUMI_HOME/$PLUGIN_PATH -ef $TOOLCHAIN_DIR/plugin/pulumi-resource-docker ]]; then
    TOOLS_HOME=$OWN_PULUMI_HOME
  else
    return 1
  fi
}

# --- providing it --------------------------------------------------------------------------------

provide_tools() {
  tools_ready && ! compgen -G "$CACHE_DIR/tmp.*" >/dev/null && return
  mkdir -p "$TOOLCHAIN_DIR/bin" "$TOOLCHAIN_DIR/plugin"
  exec 8>"$CACHE_DIR/lock"
  lock 8 "Another bootstrap is preparing the tools: waiting for it"
  rm -rf "${CACHE_DIR:?}"/tmp.*
  mkdir -p "$SCRATCH"
  [[ ! -x $TOOLCHAIN_DIR/plugin/pulumi-resource-docker ]] || link_plugin
  tools_ready || download_tools || build_tools
  exec 8>&-
  tools_ready || die "the tools are incomplete after all: remove $TOOLCHAIN_DIR and try again"
}

# The engine looks plugins up in its home by name and version.
link_plugin() {
  local link=$OWN_PULUMI_HOME/$PLUGIN_PATH
  mkdir -p "${link%/*}" && ln -sfn "$TOOLCHAIN_DIR/plugin/pulumi-resource-docker" "$link"
}

# --- Pulumi's own releases -----------------------------------------------------------------------

download_tools() {
  have curl || ! can_install_packages || try_step "curl" install_packages curl || return
  if ! have curl || ! curl -sfIL --max-time "$DOWNLOAD_ANSWER_SECONDS" -o /dev/null "$RELEASES/$CHECKSUMS"; then
    say "Pulumi's downloads do not answer"
    return 1
  fi
  pulumi_ready || try_step "Pulumi $PULUMI_RELEASE" download_pulumi || return
  pulumi_ready || return
  plugin_ready || try_step "Docker provider $DOCKER_PLUGIN" download_plugin
}

download_pulumi() {
  local archive machine
  case "$(uname -m)" in
    aarch64 | arm64) machine=arm64 ;;
    *) machine=x64 ;;
  esac
  archive="pulumi-v$PULUMI_RELEASE-$(uname -s | tr '[:upper:]' '[:lower:]')-$machine.tar.gz"
  (
    cd "$SCRATCH" || exit
    curl -sSfL --max-time "$DOWNLOAD_SECONDS" -O "$RELEASES/$CHECKSUMS" || exit
    curl -sSfL --max-time "$DOWNLOAD_SECONDS" -O "$RELEASES/$archive" || exit
    published=$(awk -v name="$archive" '$2 == name { print $1 }' "$CHECKSUMS")
    [[ -n $published && $published == $(sha256 <"$archive") ]] || {
      printf '%s does not have the checksum that is published for it\n' "$archive"
      exit 1
    }
    tar -xzf "$archive" || exit
  ) || return
  rm -rf "${TOOLCHAIN_DIR:?}/bin" && mv "$SCRATCH/pulumi" "$TOOLCHAIN_DIR/bin"
}

download_plugin() {
  local pulumi=${TOOLS_BIN:+$TOOLS_BIN/}pulumi
  PULUMI_HOME=$SCRATCH/home bounded "$DOWNLOAD_SECONDS" \
    "$pulumi" plugin install resource docker "$DOCKER_PLUGIN" || return
  mv "$SCRATCH/home/$PLUGIN_PATH" "$TOOLCHAIN_DIR/plugin/" && link_plugin
}
