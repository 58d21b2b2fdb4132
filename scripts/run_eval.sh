#!/usr/bin/env bash
# Speak with a trained network, or measure it on a dataset.
#
# usage: bash scripts/run_eval.sh CHECKPOINT INPUT OUTPUT_DIR [flags of eval.py ...]
#   CHECKPOINT  of the network, such as outdir/best.ckpt
#   INPUT       a text in quotes, of two words at least: it is spoken;
#               a file: each of its lines is spoken into a wav of its own;
#               a folder made by scripts/preprocess.py: the network is measured on it
#   OUTPUT_DIR  folder for the results
#   flags       such as --seed 1, or --vocoder waveglow --vocoder_checkpoint w.ckpt
# environment: DEVICE_TARGET (Ascend, GPU or CPU; default: Ascend), DEVICE_ID (default: 0),
#   JIT_LEVEL (O0 or O1, how far MindSpore fuses operators; default: O1 on Ascend, O0 elsewhere)
# exit status: that of eval.py: 0 done, 1 failure, 2 bad input
set -euo pipefail
n_arguments=3
# shellcheck source-path=SCRIPTDIR source=launcher.sh
. "$(dirname "$0")/launcher.sh"
checkpoint=$1 input=$2 output_dir=$3
shift 3
need_file CHECKPOINT "$checkpoint"
if [ -d "$input" ]; then
    kind=--data_path
elif [ -f "$input" ]; then
    kind=--text_file
elif [[ $input == *[[:space:]]* ]]; then
    kind=--text
else
    fail "INPUT $input: no such file or folder, and a text has two words at least (eval.py --text speaks one)"
fi
exec python "$root/eval.py" --checkpoint "$checkpoint" "$kind" "$input" --output_dir "$output_dir" "$@"
