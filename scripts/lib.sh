# shellcheck shell=bash
#
# What the scripts share. Sourced, from the root of the repository.

say() { printf '%s\n' "$*"; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# version_at_least HAVE WANT: compares dotted numbers. (`sort -V` is not everywhere.)
version_at_least() {
  local have want i
  IFS=. read -r -a have <<<"$1"
  IFS=. read -r -a want <<<"$2"
  for i in "${!want[@]}"; do
    ((10#${have[i]:-0} > 10#${want[i]})) && return 0
    ((10#${have[i]:-0} < 10#${want[i]})) && return 1
  done
  return 0
}

steps=''

# step NAME COMMAND…: runs a command, says how long it took, and stops the script when it fails. The command must be a
# program, not a function: `set -e` does not act inside a function that is called as a condition.
step() {
  local name=$1 start=$SECONDS code=0
  shift
  say "==> $name: $*"
  "$@" || code=$?
  if [ "$code" = 0 ]; then
    steps+=$(printf '%-12s ok      %5d s' "$name" $((SECONDS - start)))$'\n'
    return
  fi
  steps+=$(printf '%-12s FAILED  %5d s' "$name" $((SECONDS - start)))$'\n'
  exit "$code"
}

# Prints what ran, however the script ends: `trap 'summary scripts/x' EXIT`.
summary() {
  local code=$?
  [ -z "$steps" ] || printf '\n%s: %s after %d s\n%s\n' "$1" "$([ "$code" = 0 ] && echo passed || echo FAILED)" "$SECONDS" "$steps"
  exit "$code"
}
