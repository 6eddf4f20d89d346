# Read by bash before a test script (BASH_ENV): what the script would fetch is in the image already, and a box has no
# network. So installing succeeds at once, and a tool that would be fetched runs from the image. A script may say set -u.
_ratchet_pytest() {
  # Where a solution may have changed the image's Python, pytest runs by our own, which has no plug-in for --ctrf.
  local rest=() word
  while [ $# -gt 0 ]; do
    word="$1"; shift
    case "$word" in
      --ctrf|--ctrf=*) if _ratchet_writes_ctrf; then rest+=("$word"); elif [ "$word" = --ctrf ]; then shift; fi ;;
      *) rest+=("$word") ;;
    esac
  done
  set -- -m pytest ${rest[@]+"${rest[@]}"}
  if [ -n "${RATCHET_PYTHON-}" ]; then "$RATCHET_PYTHON" -I "$@"; else command python3 "$@"; fi
}
_ratchet_writes_ctrf() { [ -z "${RATCHET_PYTHON-}" ] && command python3 -c 'import pytest_json_ctrf' 2>/dev/null; }
_ratchet_python() {
  if [ "${1-} ${2-}" = "-m pytest" ]; then shift 2; _ratchet_pytest "$@"; else command python3 "$@"; fi
}
_ratchet_tool() {
  local tool="${1-}"; shift $(($# > 0))
  tool="${tool%%@*}"
  tool="${tool%%[=<>]*}"
  if [ "$tool" = pytest ]; then _ratchet_pytest -p no:cacheprovider "$@"
  elif [ "$tool" = python ] || [ "$tool" = python3 ]; then _ratchet_python "$@"
  else command "$tool" "$@"; fi
}
_ratchet_fetched_tool() {
  local from=""
  while [ $# -gt 0 ]; do
    case "$1" in
      -w|--with|-p|--python|--index-url|--directory|--project) shift $(($# > 1 ? 2 : 1)) ;;
      --from) from="${2-}"; shift $(($# > 1 ? 2 : 1)) ;;
      -*) shift ;;
      *) _ratchet_tool "$@"; return ;;
    esac
  done
}
apt-get() { case " $* " in *" install "*|*" update "*|*" upgrade "*|*" clean "*) return 0 ;; esac; command apt-get "$@"; }
apt() { apt-get "$@"; }
apk() { return 0; }
pytest() { _ratchet_tool pytest "$@"; }
uvx() { _ratchet_fetched_tool "$@"; }
uv() {
  local word="${1-}"; shift $(($# > 0))
  case "$word" in
    run) _ratchet_fetched_tool "$@" ;;
    tool) shift $(($# > 0)); _ratchet_fetched_tool "$@" ;;
    venv) mkdir -p "${1:-.venv}/bin" 2>/dev/null && : > "${1:-.venv}/bin/activate"; return 0 ;;
    *) return 0 ;;
  esac
}
pip() { if [ "${1-}" = install ]; then return 0; fi; command python3 -m pip "$@"; }
pip3() { pip "$@"; }
python3() { if [ "${1-} ${2-} ${3-}" = "-m pip install" ]; then return 0; fi; _ratchet_python "$@"; }
python() { if command -v -p python >/dev/null 2>&1; then command python "$@"; else python3 "$@"; fi; }
# In a machine nothing changes /tests: scripts there can be run already, and only root can read them.
chmod() { case "$*" in *" /tests"*) command chmod "$@" 2>/dev/null || return 0 ;; *) command chmod "$@" ;; esac; }
curl() { case " $* " in *astral.sh/uv*) return 0 ;; esac; command curl "$@"; }
wget() { case " $* " in *astral.sh/uv*) return 0 ;; esac; command wget "$@"; }
if [ -n "${HOME-}" ] && [ ! -e "$HOME/.local/bin/env" ]; then
  mkdir -p "$HOME/.local/bin" && : > "$HOME/.local/bin/env"
fi 2>/dev/null || :
