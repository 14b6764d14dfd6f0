# shellcheck shell=bash
# What a shell needs so that `pulumi` typed by hand finds everything.

# Sets and exports it for this script, too.
enter_environment() {
  local leading=$ENVIRONMENT/bin${TOOLS_BIN:+:$TOOLS_BIN}
  case ":$PATH:" in
    ":$leading:"*) ;;
    *) PATH=$leading:$PATH ;;
  esac
  # Last, so that a Claude Code of the user's own comes first.
  case ":$PATH:" in
    *":$CLAUDE_CODE/node_modules/.bin:"*) ;;
    *) PATH=$PATH:$CLAUDE_CODE/node_modules/.bin ;;
  esac
  export PATH
  if [[ $TOOLS_HOME == "$OWN_PULUMI_HOME" ]]; then
    # Plugins from our home, but the login, if there is one, from the user's.
    [[ ! -s $USER_PULUMI_HOME/credentials.json ]] ||
      export PULUMI_CREDENTIALS_PATH="${PULUMI_CREDENTIALS_PATH:-$USER_PULUMI_HOME}"
    export PULUMI_HOME=$OWN_PULUMI_HOME
  fi
  backend_is_chosen || export PULUMI_BACKEND_URL="file://$STATE_DIR"
  passphrase_is_chosen || export PULUMI_CONFIG_PASSPHRASE_FILE=$PASSPHRASE_FILE
  export PULUMI_SKIP_UPDATE_CHECK=true
}

readonly EXPORTED="PATH PULUMI_HOME PULUMI_CREDENTIALS_PATH PULUMI_BACKEND_URL
  PULUMI_CONFIG_PASSPHRASE_FILE PULUMI_SKIP_UPDATE_CHECK"

print_environment() {
  local name
  for name in $EXPORTED; do
    [[ -z ${!name+set} ]] || printf 'export %s=%q\n' "$name" "${!name}"
  done
}
