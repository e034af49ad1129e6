#!/bin/bash
# sbatch configs/cluster/slurm.sh CONFIG DIR [more options of `segnas search`]
# A search over the nodes of one job: Ray's head and a part of the trials on the first, the rest on
# the others. Ten minutes before its time is over, the running epochs are finished, and the job is
# queued again and goes on. DIR is on a file system that the nodes share.
# To adapt: partition, nodes, GPUs and CPUs of a node, time, and how segnas is found.
#SBATCH --job-name=segnas
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --gpus-per-node=4
#SBATCH --time=12:00:00
#SBATCH --signal=B:TERM@600
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=segnas-%j.log
set -euo pipefail

if (($# < 2)); then
    echo "usage: sbatch $0 CONFIG DIR [OPTIONS]" >&2
    exit 2
fi
config=$1 directory=$2
shift 2
# shellcheck source=/dev/null
source "${SEGNAS_VENV:-$HOME/segnas}/bin/activate"

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
ip=$(srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{print $1}')
port=$((20000 + SLURM_JOB_ID % 10000))  # two jobs on a machine have two clusters
export RAY_USAGE_STATS_ENABLED=0
# Others on the machines reach Ray's ports: who has no token of this job's can do nothing there.
mkdir -p "$directory"
RAY_AUTH_TOKEN_PATH="$(realpath "$directory")/.ray-token-$SLURM_JOB_ID"
export RAY_AUTH_TOKEN_PATH RAY_AUTH_MODE=token
(umask 077 && python -c 'import secrets; print(secrets.token_hex(32), end="")' >"$RAY_AUTH_TOKEN_PATH")
trap 'rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT

node=(--num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="${SLURM_GPUS_ON_NODE:-0}" --block)
srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" \
    ray start --head --node-ip-address="$ip" --port="$port" --temp-dir="/tmp/ray-$SLURM_JOB_ID" \
    --include-dashboard=false "${node[@]}" &
if ((SLURM_JOB_NUM_NODES > 1)); then
    srun --overlap --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) \
        --exclude="$head" ray start --address="$ip:$port" "${node[@]}" &
fi

python - "$ip:$port" "$SLURM_JOB_NUM_NODES" <<'PYTHON'
import socket, sys, time
import ray

address, nodes = sys.argv[1], int(sys.argv[2])
host, port = address.rsplit(":", 1)
end = time.monotonic() + 300
while time.monotonic() < end:
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
        break
    except OSError:
        time.sleep(2)
else:
    sys.exit(f"Ray's head at {address} did not start within 300 s")
ray.init(address=address, log_to_driver=False)
while sum(node["Alive"] for node in ray.nodes()) < nodes and time.monotonic() < end:
    time.sleep(2)
print(f"{sum(node['Alive'] for node in ray.nodes())} of {nodes} nodes")
PYTHON

segnas search "$config" --dir "$directory" --address "$ip:$port" "$@" &
search=$!
trap 'kill -TERM $search' TERM
status=0
wait $search || status=$?
while kill -0 $search 2>/dev/null; do  # a trap ends `wait` before the search has ended
    status=0
    wait $search || status=$?
done
trap - TERM
if ((status == 130)); then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $status
