# shellcheck shell=bash
# The Docker engine: the one that answers, else the distribution's.

readonly ENGINE_ANSWER_SECONDS=20
readonly ENGINE_START_SECONDS=60
readonly ENGINE_LOG=/var/log/dockerd.log

engine_answers() {
  have docker &&
    bounded "$ENGINE_ANSWER_SECONDS" docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

provide_engine() {
  engine_answers && return
  explain_refusal
  if [[ -n ${DOCKER_HOST:-}${DOCKER_CONTEXT:-} ]] && have docker; then
    die "the Docker engine that ${DOCKER_HOST:+DOCKER_HOST=$DOCKER_HOST}" \
      "${DOCKER_CONTEXT:+DOCKER_CONTEXT=$DOCKER_CONTEXT} names does not answer:" \
      "start it, or unset the variable to use this machine's"
  fi
  if ! have docker || ! { [[ -n ${DOCKER_HOST:-} ]] || have dockerd; }; then
    can_install_packages || die_without_engine
    say "No Docker engine here: installing the distribution's"
    step "Docker engine" install_packages docker.io iptables ca-certificates curl openssl
  fi
  engine_answers && return
  [[ -z ${DOCKER_HOST:-} ]] || die "the Docker engine at $DOCKER_HOST does not answer: start it," \
    "or unset DOCKER_HOST to use this machine's"
  { ((EUID == 0)) || { have sudo && sudo -n true 2>/dev/null; }; } || die_without_engine
  step "Docker engine started" start_engine
}

# An engine that runs, but not for this user, is not helped by another one.
explain_refusal() {
  local answer
  have docker || return 0
  answer=$(bounded "$ENGINE_ANSWER_SECONDS" docker version 2>&1) || true
  if [[ $answer == *"permission denied"* ]]; then
    die "a Docker engine runs, but $(id -un) may not use it. Type" \
      "  sudo usermod -aG docker $(id -un)  , log in again, and repeat"
  fi
}

die_without_engine() {
  say "bootstrap: no Docker engine answers, and this user cannot install one. Type"
  case "$(uname -s)" in
    Darwin) say "  brew install colima docker && colima start     (or start Docker Desktop)" ;;
    *)
      say "  sudo apt-get install docker.io && sudo systemctl start docker"
      say "  sudo usermod -aG docker $(id -un)               (then log in again)"
      say "or point DOCKER_HOST to an engine, for example DOCKER_HOST=ssh://user@host"
      ;;
  esac
  exit 1
}

start_engine() {
  if [[ -d /run/systemd/system ]]; then
    as_root systemctl start docker
  else
    start_engine_daemon
  fi
  local waited
  for ((waited = 0; waited < ENGINE_START_SECONDS; waited++)); do
    if as_root docker version >/dev/null 2>&1; then
      printf 'answered after %d s\n' "$waited"
      return
    fi
    sleep 1
  done
  as_root tail -n 15 "$ENGINE_LOG" 2>/dev/null
  printf 'the engine did not answer within %d s\n' "$ENGINE_START_SECONDS"
  return 1
}

# Without an init system nothing else would start it, and it must outlive this script: a session of
# its own, no terminal.
start_engine_daemon() {
  local pid
  pid=$(cat /var/run/docker.pid 2>/dev/null || true)
  if [[ -n $pid ]]; then
    [[ $(cat "/proc/$pid/comm" 2>/dev/null) != dockerd ]] || return 0
    # Left behind by a daemon that was killed; another process may have its number by now.
    as_root rm -f /var/run/docker.pid
  fi
  (
    # For good: a lock that the daemon's parent keeps would be kept as long as the daemon runs.
    exec 7>&- 8>&-
    as_root setsid nohup bash -c "exec dockerd >>$ENGINE_LOG 2>&1 </dev/null" >/dev/null 2>&1
  ) &
  disown
}
