#!/bin/bash
# Runs the job array of tools/slurm on a Slurm of its own, two nodes on this machine, and
# compares the table of the merged run with that of a local run. docs/clusters.md holds
# its output.
#
#   apt-get install -y slurm-wlm munge     # Debian or Ubuntu
#   tools/slurm_trial.sh                   # as root, in a clone with .venv
#
# It starts daemons with configuration, state and logs in a folder of /tmp, and kills
# them at its end. An installed Slurm is neither read nor changed.
set -euo pipefail

trial=$(mktemp -d /tmp/slurm-trial.XXXXXX)
bin=$PWD/.venv/bin
daemons=()
host=$(hostname -s)

finish() {
    kill "${daemons[@]}" 2> /dev/null || true
    sleep 3
    kill -KILL "${daemons[@]}" 2> /dev/null || true # slurmd waits for steps
    wait 2> /dev/null || true
    echo "logs: $trial"
}
trap finish EXIT

daemon() { # NAME COMMAND...: start a daemon in the foreground of its own log
    local name=$1
    shift
    "$@" > "$trial/$name.log" 2>&1 &
    daemons+=($!)
}

# --- who is who: munge, with a key and a socket of this trial's
install -d -m 700 "$trial/munge"
chmod 755 "$trial"
dd if=/dev/urandom of="$trial/munge/key" bs=128 count=1 status=none
chmod 600 "$trial/munge/key"
install -d -m 755 "$trial/socket"
daemon munged munged --foreground --force --key-file="$trial/munge/key" \
    --socket="$trial/socket/munge" --pid-file="$trial/munge/pid" \
    --log-file="$trial/munge/log" --seed-file="$trial/munge/seed"

# --- one controller, two nodes of one core and one GPU that does not exist
cat > "$trial/slurm.conf" << END
ClusterName=trial
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmctldPort=26817
AuthType=auth/munge
AuthInfo=socket=$trial/socket/munge
StateSaveLocation=$trial/state
SlurmctldPidFile=$trial/slurmctld.pid
SlurmdPidFile=$trial/%n.pid
SlurmdSpoolDir=$trial/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
ReturnToService=2
MailProg=/bin/true
NodeName=node1 NodeHostname=$host NodeAddr=127.0.0.1 Port=26818 CPUs=1 Gres=gpu:1
NodeName=node2 NodeHostname=$host NodeAddr=127.0.0.1 Port=26819 CPUs=1 Gres=gpu:1
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
cat > "$trial/gres.conf" << END
NodeName=node1 Name=gpu File=/dev/null
NodeName=node2 Name=gpu File=/dev/zero
END
export SLURM_CONF=$trial/slurm.conf
install -d "$trial/state" "$trial/node1" "$trial/node2"
daemon slurmctld slurmctld -D -f "$SLURM_CONF"
daemon node1 slurmd -D -N node1 -f "$SLURM_CONF"
daemon node2 slurmd -D -N node2 -f "$SLURM_CONF"
for _ in $(seq 60); do
    [ "$(sinfo -h -o %D -t idle 2> /dev/null)" = 2 ] && break
    sleep 1
done
sinfo -N -o "%N %t %c %G"

# --- the same release locally and as a job array
export PYTEST="$bin/pytest -p no:cacheprovider" REPRO="$bin/repro" PARTS=$trial/parts
options=(--repro-expected embedded --repro-cache "$trial/cache" --repro-batch-size 50)
OMP_NUM_THREADS=1 $PYTEST tests/reproduction "${options[@]}" \
    --repro-ledger "$trial/local" > "$trial/local.log"

array=$(sbatch --parsable --array=1-2 --output="$trial/array-%a.log" \
    --export=ALL,OMP_NUM_THREADS=1 tools/slurm/array.sbatch "${options[@]}")
merge=$(sbatch --parsable --dependency=afterany:"$array" --output="$trial/merge.log" \
    tools/slurm/merge.sbatch --expected embedded --ledger "$trial/merged")
echo "array $array, merge $merge"
while squeue -h -j "$array,$merge" 2> /dev/null | grep -q .; do sleep 1; done
for part in 1 2; do
    echo "part $part on $(scontrol show job "${array}_$part" | grep -o 'NodeList=node.')," \
        "$(tail -1 "$trial/array-$part.log")"
done

# --- and on Ray in a job of both nodes, if it is installed
if [ -x "$bin/ray" ]; then
    ray=$(RAY=$bin/ray LOGS=$trial sbatch --parsable --nodes=2 --time=5 \
        --output="$trial/ray.log" tools/slurm/ray.sbatch "${options[@]}" \
        --repro-ledger "$trial/ray")
    while squeue -h -j "$ray" 2> /dev/null | grep -q .; do sleep 1; done
    tail -1 "$trial/ray.log"
fi

# --- what all of it is for
# Intervals of claims are left out: a merge resamples losses of three digits.
show() {
    "$REPRO" show --ledger "$trial/$1" | grep -v -e '^run ' -e '^took ' |
        sed 's/\[[^]]*\]/[...]/g'
}
diff <(show local) <(show merged)
[ ! -d "$trial/ray" ] || diff <(show local) <(show ray)
tail -1 "$trial/local.log"
scontrol show job "$merge" | grep -o 'ExitCode=.*'
echo "the tables are those of the local run"
