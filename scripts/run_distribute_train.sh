#!/usr/bin/env bash
# Train data parallel on several devices of one or more machines, by msrun.
#
# usage: bash scripts/run_distribute_train.sh CONFIG DATA_PATH OUTPUT_DIR NUM_DEVICES [flags of train.py ...]
#   CONFIG       YAML file, such as config/tacotron2_ljspeech.yaml
#   DATA_PATH    folder made by scripts/preprocess.py
#   OUTPUT_DIR   new folder for log, pictures and checkpoints; the output of each rank is in logs/worker_RANK.log
#   NUM_DEVICES  devices of this machine; the same on all machines
#   flags        such as --train.batch_size 16; the same command with `--resume OUTPUT_DIR` continues the run
# environment:
#   DEVICE_TARGET    Ascend (default), GPU or CPU
#   NUM_NODES        number of machines (default: 1); start this script on each of them
#   NODE_RANK        with several machines: number of this one, 0 on that of MASTER_ADDR
#   MASTER_ADDR      with several machines: address of the first one
#   MASTER_PORT      port of the first machine where the ranks meet (default: a free one; with several machines: 8118)
#   RANK_TABLE_FILE  an existing HCCL rank table, handed to msrun, which needs none
#   JIT_LEVEL        O0 or O1, how far MindSpore fuses operators (default: O1 on Ascend, O0 elsewhere)
#   HCCL_CONNECT_TIMEOUT  seconds that ranks on Ascend wait for each other while they compile (default: 1800)
#   GRACE_SECONDS    time for ranks to save a checkpoint before they are killed (default: 30)
# A rank that fails ends all ranks of its machine within seconds, and its last lines are shown; other machines notice
# within a minute. Ctrl-C and SIGTERM let all ranks save a checkpoint; a second one kills them.
# exit status: 0 done; that of the rank that failed first (1 failure, 2 bad input, 137 killed);
#   130, 143 or 129 (terminal closed) stopped with a checkpoint saved
set -euo pipefail
n_arguments=4 cann_packages="te hccl"
# shellcheck source-path=SCRIPTDIR source=launcher.sh
. "$(dirname "$0")/launcher.sh"
config=$1 data_path=$2 output_dir=$3 num_devices=$4
shift 4
need_file CONFIG "$config"
need_folder DATA_PATH "$data_path"
need_number NUM_DEVICES "$num_devices" 1
nodes=${NUM_NODES:-1} node=${NODE_RANK:-0} address=${MASTER_ADDR:-127.0.0.1} port=${MASTER_PORT:-0}
need_number NUM_NODES "$nodes" 1
need_number NODE_RANK "$node" 0
need_number MASTER_PORT "$port" 0
export GRACE_SECONDS=${GRACE_SECONDS:-30}
need_number GRACE_SECONDS "$GRACE_SECONDS" 1
if [ "$nodes" -gt 1 ]; then
    [[ ${MASTER_ADDR-} && ${NODE_RANK-} ]] || fail "NUM_NODES is $nodes, so MASTER_ADDR and NODE_RANK are needed"
    port=${MASTER_PORT:-8118}
    need_number MASTER_PORT "$port" 1 # the others cannot know which one is free
fi
[ "$node" -lt "$nodes" ] || fail "NODE_RANK must be below NUM_NODES, $nodes, not $node"
if [ "$rank_table" ]; then
    need_file RANK_TABLE_FILE "$rank_table"
    # A broken table would only be noticed when the ranks have waited for each other for minutes.
    python - "$rank_table" <<'PYTHON' ||
import json, sys
try:
    servers = json.load(open(sys.argv[1], encoding="utf-8"))["server_list"]
    devices = [device for server in servers for device in server["device"] if int(device["device_id"]) >= 0]
    ranks = sorted(int(device["rank_id"]) for device in devices)
except (ValueError, KeyError, TypeError, OSError, RecursionError):
    sys.exit(1)
sys.exit(not ranks or ranks != list(range(len(ranks))))
PYTHON
        fail "RANK_TABLE_FILE $rank_table: not an HCCL rank table (JSON with server_list, and in it devices with" \
            "device_id and rank_id); msrun needs none, so leave RANK_TABLE_FILE unset, or make one anew"
fi
command -v msrun >/dev/null || fail "msrun is not on the PATH; activate the environment that has MindSpore"

if [ "$node" = 0 ]; then # port 0 gets a free one
    bind='import socket, sys; print(socket.create_server(("", int(sys.argv[1]))).getsockname()[1])'
    port=$(python -c "$bind" "$port" 2>/dev/null) ||
        fail "MASTER_PORT ${MASTER_PORT-} cannot be used; is another training running?"
fi
logs=$output_dir/logs
mkdir -p "$logs" 2>/dev/null || fail "OUTPUT_DIR $output_dir: the folder for logs cannot be made in it"
export PYTHONUNBUFFERED=1  # so that a rank's last words are in its log
export HCCL_CONNECT_TIMEOUT=${HCCL_CONNECT_TIMEOUT:-1800}
export GLOG_v=${GLOG_v:-3} # errors only: until all ranks have met, MindSpore warns a hundred times
exec python "$root/scripts/watch_ranks.py" "$logs" $((node * num_devices)) "$num_devices" \
    msrun --join=False --worker_num=$((nodes * num_devices)) --local_worker_num="$num_devices" --node_rank="$node" \
    --master_addr="$address" --master_port="$port" --log_dir="$logs" ${rank_table:+"--rank_table_file=$rank_table"} \
    "$root/train.py" --config "$config" --data_path "$data_path" --output_dir "$output_dir" "$@"
