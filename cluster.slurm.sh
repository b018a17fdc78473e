#!/usr/bin/env bash
# A search in an allocation of Slurm, from the folder of this project:
#
#     sbatch cluster.slurm.sh SWEEP --name NAME --runs /shared/runs
#
# What stands behind the file goes to `raysearch search`. The job saves and exits with 124 before its time is over;
# the identical command goes on where it was, until it exits with 0. See docs/slurm.md.
#
# The lines to edit; all of them can also be given to sbatch before the name of this file.
#SBATCH --job-name=raysearch
#SBATCH --nodes=2
#SBATCH --cpus-per-task=8
##SBATCH --gpus-per-node=1
#SBATCH --time=08:00:00
#
# What must stay. One Ray on each node. The signal comes to this script, early enough for trials to save (20 seconds):
# Slurm looks at its limits only now and then, and may send it up to a minute before the time named here. Each job with
# one name adds to one log.
#SBATCH --ntasks-per-node=1
#SBATCH --signal=B:TERM@120
#SBATCH --open-mode=append
set -euo pipefail

# yes: the job puts itself into the queue again, until the search has ended (sbatch --requeue cluster.slurm.sh …).
requeue=${RAYSEARCH_REQUEUE:-no}
# Where Ray keeps its sockets and logs on each node: local disk, a short path; gone when the job ends.
temporary=$(mktemp --directory --dry-run "${RAYSEARCH_TMP:-/tmp}/ray.$SLURM_JOB_ID.XXXX")

case " $*" in
    *" --name "* | *" --name="*) ;;
    *) echo "error: --name must be given: by it the same command, submitted again, finds its search" >&2 && exit 2 ;;
esac
source .venv/bin/activate

# A Ray that answers those with the token of this job alone: others may have jobs on the same nodes.
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 PYTHONUNBUFFERED=1
export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0 # its end is at once: whatever runs then was saved
RAY_AUTH_TOKEN=$(python -c "import secrets; print(secrets.token_hex(32))")
export RAY_AUTH_TOKEN

asked="" driver="" steps=()
ask_to_save() {
    asked=yes
    if [[ -n $driver ]]; then kill -TERM "$driver" || true; fi
}
trap ask_to_save TERM

# Ends the Ray of this job and no other: `ray stop` would end every Ray of this user on the node.
end_ray() {
    if ((${#steps[@]})); then
        scancel --signal=TERM "$SLURM_JOB_ID" || true # its steps, not this script
        for _ in $(seq 300); do
            if [[ -z $(jobs -pr) ]]; then break; fi
            sleep 0.1
        done
        kill "${steps[@]}" 2>/dev/null || true
        wait || true
    fi
}
trap end_ray EXIT

# A node's Ray, on ports that are free there, in a folder that was not there before; it lives as long as this step.
node() { # the number of the step's first node, then options of `ray start`
    place=$temporary.$(($1 + SLURM_NODEID)) ended=""
    umask 077 && mkdir "$place"
    trap 'rm -rf "$place"' EXIT
    trap 'ended=yes; kill -TERM "$ray"' TERM
    ray start --block --temp-dir="$place" --num-cpus="$SLURM_CPUS_PER_TASK" --disable-usage-stats \
        --min-worker-port=0 --max-worker-port=0 --dashboard-agent-listen-port=0 "${@:2}" &>"$place/said" &
    ray=$!
    wait "$ray" || true
    if [[ -z $ended ]]; then cat "$place/said" >&2; fi
    wait "$ray" || true # the signal ended the wait, not Ray
}
export -f node
export temporary SLURM_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}

start_ray() { # the number of the first node, how many, which, then options of `ray start`
    srun --overlap --nodes="$2" --ntasks="$2" --cpus-per-task="$SLURM_CPUS_PER_TASK" "$3" \
        bash -c 'node "$@"' node "$1" "${@:4}" &
    steps+=($!)
}

wait_for() { # what, then the command that tells
    for _ in $(seq 120); do
        if [[ -n $asked ]]; then exit 124; fi
        if "${@:2}" >/dev/null 2>&1; then return; fi
        if (($(jobs -pr | wc -l) < ${#steps[@]})); then break; fi
        sleep 1
    done
    echo "error: $1 did not come up; what Ray said stands above" >&2 && exit 1
}

count=$SLURM_JOB_NUM_NODES
start_ray 0 1 --nodelist="$SLURMD_NODENAME" --head --port=0 --include-dashboard=false
wait_for "the head of Ray on $SLURMD_NODENAME" test -s "$temporary.0/ray_current_cluster"
address=$(<"$temporary.0/ray_current_cluster")
if ((count > 1)); then
    start_ray 1 $((count - 1)) --exclude="$SLURMD_NODENAME" --address="$address"
    all_there="import ray; ray.init('$address', log_to_driver=False)
assert sum(node['Alive'] for node in ray.nodes()) == $count"
    wait_for "Ray on all $count nodes" python -c "$all_there"
fi

# No box of a length of its own: the signal ends it. It stands here so that the driver saves and exits with 124.
raysearch search "$@" --address "$address" --time-box 365d &
driver=$!
if [[ -n $asked ]]; then kill -TERM "$driver"; fi
status=0
wait "$driver" || status=$?
while kill -0 "$driver" 2>/dev/null; do # the signal ended the wait, not the driver
    status=0
    wait "$driver" || status=$?
done
if [[ -n $asked && $status == 143 ]]; then status=124; fi # asked before it listened: nothing is lost

if [[ $status == 124 ]]; then
    echo "the search goes on when this is submitted again: sbatch cluster.slurm.sh $*"
    if [[ $requeue == yes ]]; then scontrol requeue "$SLURM_JOB_ID"; fi
fi
exit "$status"
