#!/usr/bin/env bash
# Make the virtual environment VENV and install REQUIREMENTS into it. If that fails, one line says why.
# An environment that this script did not make is added to, not replaced.
# usage: [PYTHON=/path/to/python3.11] bash scripts/install.sh VENV REQUIREMENTS [PACKAGE ...]
#   PACKAGE  installed without its dependencies
set -euo pipefail

usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; } # prints the comment at the top
fail() { echo "error: $*" >&2; exit 2; }
case ${1-} in -h | --help) usage && exit 0 ;; esac
[ $# -ge 2 ] || { usage >&2 && exit 2; }
venv=$1 requirements=$2
shift 2

usable() { # PYTHON
    "$1" -c 'import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null
}

pip_install() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --retries 2 --timeout 30 "$@" \
        >"$venv/install.log" 2>&1 && return
    grep -qE 'connection broken|ConnectionError|timed out' "$venv/install.log" &&
        fail "no connection to the package index; connect and run this again (see $venv/install.log)"
    fail "$(grep -i '^error' "$venv/install.log" | tail -n 1 | sed 's/^ERROR: //') (see $venv/install.log)"
}

if [ ! -e "$venv" ] || [ -e "$venv/.made-by-install" ]; then
    # A name is not enough: pyenv, for example, puts a python3.12 on the PATH that only reports a missing Python.
    for python in python3.12 python3.11 python3.10 python3 python; do
        [ -z "${PYTHON:-}" ] || python=$PYTHON
        usable "$python" && break
    done
    usable "$python" || fail "${PYTHON:-what is on the PATH} is not Python 3.10, 3.11 or 3.12 with its venv module;" \
        "install one, or name one by PYTHON=/path/to/python3.11"
    "$python" -m venv --clear "$venv" || fail "$venv: cannot be made"
    touch "$venv/.made-by-install"
fi
usable "$venv/bin/python" ||
    fail "$venv: is not a virtual environment of Python 3.10, 3.11 or 3.12; name another folder by VENV=folder"
echo "installing $requirements into $venv, some minutes and gigabytes the first time" >&2
pip_install -r "$requirements"
[ $# = 0 ] || pip_install --no-deps "$@"
