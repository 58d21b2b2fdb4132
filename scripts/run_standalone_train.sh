#!/usr/bin/env bash
# Train on one device.
#
# usage: bash scripts/run_standalone_train.sh CONFIG DATA_PATH OUTPUT_DIR [flags of train.py ...]
#   CONFIG      YAML file, such as config/tacotron2_ljspeech.yaml
#   DATA_PATH   folder made by scripts/preprocess.py
#   OUTPUT_DIR  new folder for log, pictures and checkpoints
#   flags       such as --train.batch_size 16; the same command with `--resume OUTPUT_DIR` continues the run
# environment: DEVICE_TARGET (Ascend, GPU or CPU; default: Ascend), DEVICE_ID (default: 0),
#   JIT_LEVEL (O0 or O1, how far MindSpore fuses operators; default: O1 on Ascend, O0 elsewhere)
# exit status: that of train.py: 0 done, 1 failure, 2 bad input,
#   130 or 143 stopped by Ctrl-C or SIGTERM with a checkpoint saved
set -euo pipefail
n_arguments=3
# shellcheck source-path=SCRIPTDIR source=launcher.sh
. "$(dirname "$0")/launcher.sh"
config=$1 data_path=$2 output_dir=$3
shift 3
need_file CONFIG "$config"
need_folder DATA_PATH "$data_path"
exec python "$root/train.py" --config "$config" --data_path "$data_path" --output_dir "$output_dir" "$@"
