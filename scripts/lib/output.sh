# shellcheck shell=bash
# Messages, and steps that show that they live. Everything here writes to stderr: stdout belongs to
# `--env`.

readonly HEARTBEAT_SECONDS=15

say() { printf '%s\n' "$*" >&2; }

die() {
  say "bootstrap: $*"
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Runs a command for at most so many seconds; its status is 124 when time ran out.
bounded() {
  local seconds=$1
  shift
  if have timeout; then
    timeout -k 2 "$seconds" "$@"
    return
  fi
  "$@" &
  local command=$! waited=0
  while kill -0 "$command" 2>/dev/null; do
    if ((waited >= seconds)); then
      kill "$command" 2>/dev/null || true
      return 124
    fi
    sleep 1
    waited=$((waited + 1))
  done
  wait "$command"
}

# step <label> <function> [argument...]: runs it with its output in a log, and shows how long it has
# been at what; ends the script if it fails. As in every condition, `set -e` does not reach the
# function: it checks its own commands.
step() {
  try_step "$@" || die "$1 failed; the whole log is $(log_of "$2")"
}

log_of() { printf '%s/logs/%s.log\n' "$STATE_DIR" "$1"; }

# The same, for what has an alternative. The function gets a process group of its own, so that an
# interrupt ends all of it.
try_step() {
  local label=$1 log started=$SECONDS status=0
  shift
  log=$(log_of "$1")
  mkdir -p "${log%/*}"
  set -m
  # It keeps this script's locks: should the script be killed, the next one waits for it to end.
  "$@" >"$log" 2>&1 </dev/null &
  CHILD=$!
  set +m
  watch_child "$label" "$log"
  wait "$CHILD" || status=$?
  CHILD=
  if ((status != 0)); then
    say "  $label failed after $((SECONDS - started)) s:"
    tail -n 20 "$log" | sed 's/^/    /' >&2
    return "$status"
  fi
  say "  $label: $((SECONDS - started)) s"
}

watch_child() {
  local label=$1 log=$2 started=$SECONDS shown=0 elapsed
  while kill -0 "$CHILD" 2>/dev/null; do
    sleep 0.2
    elapsed=$((SECONDS - started))
    if [[ -t 2 ]]; then
      ((elapsed == 0)) || printf '\r\033[K  %s: %d s  %s' "$label" "$elapsed" "$(last_line "$log" 60)" >&2
    elif ((elapsed - shown >= HEARTBEAT_SECONDS)); then
      shown=$elapsed
      say "  $label: $elapsed s so far  $(last_line "$log" 100)"
    fi
  done
  [[ ! -t 2 ]] || printf '\r\033[K' >&2
}

last_line() {
  tail -n 1 "$1" 2>/dev/null | tr -d '\r\033' | cut -c "1-$2"
}

# lock <descriptor> <message if it is taken>: held until the descriptor is closed, so a killed script
# leaves none behind. Where there is no flock, moving whole directories into place must do.
lock() {
  have flock || return 0
  flock -n "$1" || {
    say "$2"
    flock "$1"
  }
}

stop_child() {
  [[ -z ${CHILD:-} ]] || kill -- "-$CHILD" 2>/dev/null || true
}

# Only root, or who may become root without a password, can install packages. What is started as root
# may stay, so it gets no lock.
as_root() {
  if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi 7>&- 8>&-
}

can_install_packages() {
  have apt-get && { ((EUID == 0)) || { have sudo && sudo -n true 2>/dev/null; }; }
}

install_packages() {
  as_root apt-get update -q &&
    as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get install -q -y --no-install-recommends "$@"
}

# Programs that bring certificates of their own shall trust what this machine trusts: where TLS is
# inspected, nothing else works.
trust_host_certificates() {
  local bundle
  for bundle in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt \
    /etc/pki/tls/certs/ca-bundle.crt; do
    [[ -s $bundle ]] || continue
    export SSL_CERT_FILE=$bundle PIP_CERT=${PIP_CERT:-$bundle}
    export NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-$bundle}
    return
  done
}

sha256() {
  if have sha256sum; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1
}
