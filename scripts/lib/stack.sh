# shellcheck shell=bash
# The stack: a backend and a passphrase where none is configured, and generated secrets. What is
# there is never touched, and every secret reaches `pulumi` by its standard input.

readonly PROJECT=llm-gateway
readonly STACK=${LLM_GATEWAY_STACK:-dev}
readonly STACK_FILE="$CHECKOUT/Pulumi.$STACK.yaml"
readonly PASSPHRASE_FILE="$CONFIG_DIR/passphrase"
readonly CA_DAYS=3650
readonly REQUIRED_KEYS="litellmMasterKey litellmSaltKey clientTokens caKey caCertificate"

# --- backend and passphrase ----------------------------------------------------------------------

# A login, a backend in the environment or one in Pulumi.yaml is the user's choice.
backend_is_chosen() {
  [[ -n ${PULUMI_BACKEND_URL:-}${PULUMI_ACCESS_TOKEN:-} ]] ||
    grep -q '^backend:' "$CHECKOUT/Pulumi.yaml" ||
    [[ -s ${PULUMI_CREDENTIALS_PATH:-$USER_PULUMI_HOME}/credentials.json ]]
}

passphrase_is_chosen() {
  [[ -n ${PULUMI_CONFIG_PASSPHRASE+set} || -n ${PULUMI_CONFIG_PASSPHRASE_FILE:-} ]]
}

provide_passphrase() {
  passphrase_is_chosen && [[ ${PULUMI_CONFIG_PASSPHRASE_FILE:-} != "$PASSPHRASE_FILE" ]] && return
  [[ -s $PASSPHRASE_FILE ]] && return
  ! config_is_encrypted || die "$STACK_FILE holds secrets, but the passphrase that opens them is not" \
    "in $PASSPHRASE_FILE. Put it there (mode 0600) or into PULUMI_CONFIG_PASSPHRASE; or, to begin" \
    "with new secrets, delete the line 'encryptionsalt' and the lines 'secure' with their keys"
  (
    umask 077
    mkdir -p "$CONFIG_DIR"
    openssl rand -hex 32 >"$PASSPHRASE_FILE.new.$$"
    # A link, unlike a move, fails when another run was faster: a passphrase is never replaced.
    ln "$PASSPHRASE_FILE.new.$$" "$PASSPHRASE_FILE" 2>/dev/null || true
    rm -f "$PASSPHRASE_FILE.new.$$"
  )
  say "Made a passphrase for the stack's secrets: $PASSPHRASE_FILE (back it up)"
}

config_is_encrypted() {
  grep -q '^encryptionsalt:' "$STACK_FILE" 2>/dev/null && ! grep -q '^secretsprovider:' "$STACK_FILE"
}

# --- the stack -----------------------------------------------------------------------------------

stack_ready() {
  local key
  [[ -f $STACK_FILE ]] || return 1
  for key in $REQUIRED_KEYS; do
    has_key "$key" || return 1
  done
  stack_is_selected
}

has_key() { grep -q "^  $PROJECT:$1:" "$STACK_FILE" 2>/dev/null; }

# What the CLI noted when it selected a stack; asking it would take longer than all else here.
stack_is_selected() {
  local noted backend=${PULUMI_BACKEND_URL:-}
  noted="$TOOLS_HOME/workspaces/$PROJECT-$(printf '%s' "$CHECKOUT/Pulumi.yaml" | sha1)-workspace.json"
  grep -qF "${backend:-stack}" "$noted" 2>/dev/null || return 1
  [[ $backend != file:///* || -f ${backend#file://}/.pulumi/stacks/$PROJECT/$STACK.json ]]
}

sha1() { if have sha1sum; then sha1sum; else shasum -a 1; fi | cut -d' ' -f1; }

provide_stack() {
  stack_ready && return
  have openssl || {
    can_install_packages || die "openssl is missing: install it and repeat"
    step "openssl" install_packages openssl
  }
  step "Stack $STACK" make_stack
  # What was generated or restored is worth more than a line in a log.
  sed -n 's/^note: /  /p' "$(log_of make_stack)" >&2
}

make_stack() {
  cd "$CHECKOUT" || return
  local backend=${PULUMI_BACKEND_URL:-}
  [[ $backend != file:///* ]] || mkdir -p "${backend#file://}" || return
  if pulumi stack select "$STACK" 2>/dev/null; then
    restore_config || return
  else
    pulumi stack init "$STACK" || return
  fi
  if config_is_encrypted && ! pulumi config --stack "$STACK" --show-secrets >/dev/null; then
    printf 'The passphrase in %s does not open the secrets in %s: put the right one there\n' \
      "${PULUMI_CONFIG_PASSPHRASE_FILE:-PULUMI_CONFIG_PASSPHRASE}" "$STACK_FILE"
    return 1
  fi
  local random
  random=$(openssl rand -hex 24) && add_secret litellmMasterKey "sk-$random" || return
  random=$(openssl rand -hex 24) && add_secret litellmSaltKey "sk-$random" || return
  random=$(openssl rand -hex 24) && add_secret clientTokens "$random" clientTokens.dev || return
  add_authority
}

# Another checkout deployed this stack: its secrets, not new ones, belong to what runs.
restore_config() {
  config_is_encrypted && return
  if pulumi config refresh --stack "$STACK" --force 2>/dev/null; then
    printf 'note: the stack is deployed already: restored its configuration to %s\n' "$STACK_FILE"
  fi
}

# add_secret <key> <value> [path]: unless the key is there.
add_secret() {
  has_key "$1" && return
  printf '%s' "$2" | pulumi config set --stack "$STACK" --secret --path "${3:-$1}" || return
  printf 'note: generated %s\n' "${3:-$1}"
}

# --- the internal certificate authority ----------------------------------------------------------

# The key is stored first: a certificate can be made again from it, not the other way round.
add_authority() {
  has_key caCertificate && return
  local directory status=0
  directory=$(umask 077 && mktemp -d) || return
  make_authority "$directory" || status=$?
  rm -rf "$directory"
  return "$status"
}

make_authority() {
  local key=$1/key.pem certificate=$1/certificate.pem
  (
    umask 077
    if has_key caKey; then
      pulumi config get --stack "$STACK" caKey >"$key"
    else
      openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$key"
    fi
  ) || return
  cat >"$1/openssl.cnf" <<CONFIG
[req]
distinguished_name = name
x509_extensions = authority
prompt = no
[name]
O = $PROJECT
CN = $PROJECT $STACK internal CA $(openssl rand -hex 4)
[authority]
basicConstraints = critical, CA:TRUE, pathlen:1
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
CONFIG
  openssl req -x509 -new -sha256 -key "$key" -days "$CA_DAYS" -config "$1/openssl.cnf" \
    -out "$certificate" || return
  has_key caKey || pulumi config set --stack "$STACK" --secret caKey <"$key" || return
  pulumi config set --stack "$STACK" caCertificate <"$certificate" || return
  printf 'note: generated caKey and caCertificate\n'
}

# --- the root file system image ------------------------------------------------------------------

readonly OWN_ROOTFS=llm-gateway/rootfs:

base_image() {
  sed -n "/^  $PROJECT:images:/,/^  [^ ]/s/^    base: *//p" "$STACK_FILE" 2>/dev/null | tr -d "\"'"
}

has_base_image() {
  local current
  current=$(base_image)
  [[ -n $current ]] && docker image inspect "$current" >/dev/null 2>&1
}

# An image of the user's own choice stays; ours follows what it is made from.
provide_base_image() {
  local current made
  current=$(base_image)
  [[ -z $current || $current == "$OWN_ROOTFS"* ]] || return 0
  made=$("$CHECKOUT/scripts/rootfs") || die "the root file system image could not be made"
  [[ $made != "$current" ]] || return 0
  (cd "$CHECKOUT" && pulumi config set --stack "$STACK" --path images.base "$made")
}
