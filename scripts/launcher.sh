# shellcheck shell=bash disable=SC2034,SC2154  # variables shared with the launchers
# Sourced by the launchers: help, argument checks, device. `n_arguments` is the number of arguments that they need;
# `cann_packages` names the Python packages of CANN that MindSpore imports for them on Ascend (default: te).
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; } # prints the comment at the top of the launcher
fail() { echo "error: $*" >&2; exit 2; }
need_file() { [ -f "$2" ] || fail "$1 $2: no such file"; }
need_folder() { [ -d "$2" ] || fail "$1 $2: no such folder"; }
need_number() { # NAME VALUE SMALLEST
    if ! [[ $2 =~ ^(0|[1-9][0-9]{0,4})$ ]] || (($2 < $3)); then
        fail "$1 must be a whole number from $3 on, not '$2'"
    fi
}

case ${1-} in -h | --help) usage && exit 0 ;; esac
[ $# -ge "$n_arguments" ] || { usage >&2 && exit 2; }
rank_table=${RANK_TABLE_FILE-}
unset RANK_TABLE_FILE # a single process would wait for the table's other ranks; msrun sets it again
export DEVICE_TARGET=${DEVICE_TARGET:-Ascend} DEVICE_ID=${DEVICE_ID:-0}
[[ $DEVICE_TARGET =~ ^(Ascend|GPU|CPU)$ ]] || fail "DEVICE_TARGET must be Ascend, GPU or CPU, not '$DEVICE_TARGET'"
need_number DEVICE_ID "$DEVICE_ID" 0
python -c 'from importlib.util import find_spec; raise SystemExit(not find_spec("mindspore"))' 2>/dev/null ||
    fail "python on the PATH ($(command -v python)) has no MindSpore; activate an environment that has it," \
        "such as . .venv/bin/activate"
if [ "$DEVICE_TARGET" = Ascend ]; then # MindSpore would fail later, and not say what to do
    for package in ${cann_packages-te}; do
        python -c "from importlib.util import find_spec; raise SystemExit(not find_spec('$package'))" 2>/dev/null ||
            fail "DEVICE_TARGET is Ascend, and python finds no package $package of CANN: source set_env.sh of CANN" \
                "first, such as \`source /usr/local/Ascend/ascend-toolkit/set_env.sh\`;" \
                "on other computers choose DEVICE_TARGET=GPU or CPU"
    done
fi
