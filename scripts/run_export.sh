#!/usr/bin/env bash
# Export a trained network for inference.
#
# usage: bash scripts/run_export.sh CHECKPOINT FILE_FORMAT OUTPUT_DIR [flags of export.py ...]
#   CHECKPOINT   of the network, such as outdir/best.ckpt
#   FILE_FORMAT  MINDIR, ONNX or AIR (on Ascend only; MindSpore has deprecated it for MINDIR)
#   OUTPUT_DIR   folder for the files
# environment: DEVICE_TARGET (Ascend, GPU or CPU; default: Ascend), DEVICE_ID (default: 0),
#   JIT_LEVEL (O0 or O1, how far MindSpore fuses operators; default: O1 on Ascend, O0 elsewhere)
# exit status: that of export.py: 0 done, 1 failure, 2 bad input
set -euo pipefail
n_arguments=3
# shellcheck source-path=SCRIPTDIR source=launcher.sh
. "$(dirname "$0")/launcher.sh"
checkpoint=$1 file_format=$2 output_dir=$3
shift 3
need_file CHECKPOINT "$checkpoint"
[[ $file_format =~ ^(MINDIR|ONNX|AIR)$ ]] || fail "FILE_FORMAT must be MINDIR, ONNX or AIR, not '$file_format'"
exec python "$root/export.py" --checkpoint "$checkpoint" --file_format "$file_format" --output_dir "$output_dir" "$@"
