# shellcheck shell=bash
# Python environments from hash-pinned locks, by uv where there is one, else by pip.

readonly PYTHON_FLOOR=3.11.0
readonly ENVIRONMENT="$CHECKOUT/.venv"
readonly CLAUDE_CODE="$OWN_DIR/claude-code"

# The environment holds a lock if its stamp names the lock's content: the last thing written.
environment_ready() {
  local stamp=$ENVIRONMENT/.locks
  [[ -x $ENVIRONMENT/bin/python && -f $stamp ]] || return 1
  grep -qx "$(lock_of "$1")" "$stamp"
}

lock_of() { printf '%s %s\n' "$1" "$(sha256 <"$CHECKOUT/$1")"; }

provide_environment() {
  local lock=$1
  environment_ready "$lock" && return
  find_python
  step "Python environment ($lock)" make_project_environment "$lock"
}

# An environment whose making was interrupted has no stamp and is made anew.
make_project_environment() {
  local stamp=$ENVIRONMENT/.locks
  if [[ -f $stamp ]]; then rm -f "$stamp"; else rm -rf "$ENVIRONMENT"; fi
  make_environment "$ENVIRONMENT" "$CHECKOUT/$1" || return
  # The development lock contains the other one.
  if [[ $1 == requirements-dev.txt ]]; then lock_of requirements.txt; fi >"$stamp.new"
  lock_of "$1" >>"$stamp.new" && mv "$stamp.new" "$stamp"
}

# make_environment <directory> <lock>: by uv; where there is none, by one that pip puts in there, which
# still takes a third of pip's own time.
make_environment() {
  local uv=uv
  find_python
  if have uv; then
    [[ -x $1/bin/python ]] || uv venv --quiet --python "$PYTHON" "$1" || return
  else
    uv=$1/bin/uv
    [[ -x $1/bin/pip ]] || "$PYTHON" -m venv --clear "$1" || return
    [[ -x $uv ]] || "$1/bin/python" -m pip install --disable-pip-version-check --require-hashes \
      --only-binary :all: -r "$TOOLCHAIN_SOURCES/uv-requirements.txt" || {
      "$1/bin/python" -m pip install --disable-pip-version-check --require-hashes -r "$2"
      return
    }
  fi
  "$uv" pip install --quiet --compile-bytecode --python "$1/bin/python" --require-hashes --strict -r "$2"
}

# Sets PYTHON, installing the distribution's if there is none that will do.
find_python() {
  [[ -z ${PYTHON:-} ]] || return 0
  try_pythons && return
  can_install_packages || die "no Python $PYTHON_FLOOR or later that can make an environment. Type" \
    "  sudo apt-get install python3 python3-venv  (macOS:  brew install python)  and repeat"
  step "Python" install_packages python3 python3-venv
  try_pythons || die "the distribution's Python is older than $PYTHON_FLOOR: install a later one" \
    "(or uv, which brings its own) and repeat"
}

try_pythons() {
  local candidate
  for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
    PYTHON=$(command -v "$candidate") || continue
    at_least "$("$PYTHON" -c 'import platform; print(platform.python_version())' 2>/dev/null)" \
      "$PYTHON_FLOOR" || continue
    # Debian ships venv without the pip that it needs, as a package of its own.
    have uv || "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || continue
    return
  done
  PYTHON=
  return 1
}

# --- the Claude Code CLI, which a test drives ----------------------------------------------------

claude_code_ready() {
  cmp -s "$CHECKOUT/tests/claude-code/package-lock.json" "$CLAUDE_CODE/package-lock.json" &&
    [[ -x $CLAUDE_CODE/node_modules/.bin/claude ]]
}

provide_claude_code() {
  claude_code_ready || step "Claude Code CLI" install_claude_code
}

install_claude_code() {
  local fresh=$CLAUDE_CODE.new
  rm -rf "$fresh" && mkdir -p "$fresh" || return
  cp "$CHECKOUT"/tests/claude-code/package*.json "$fresh/" || return
  (cd "$fresh" && PATH="$PATH:$ENVIRONMENT/bin" npm ci --no-audit --no-fund --loglevel=error) || return
  rm -rf "$CLAUDE_CODE" && mv "$fresh" "$CLAUDE_CODE"
}
