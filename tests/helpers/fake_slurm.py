"""A SLURM of one machine, as five commands for a test's PATH: array jobs that really run, that
`scontrol requeue` runs again, and whose states `sacct` tells from files."""

from pathlib import Path

COMMANDS = {
    "sbatch": """
script=$1; id=$(( $(ls "$FAKE_SLURM" | grep -c '[.]script$') + 100 ))
cp "$script" "$FAKE_SLURM/$id.script"
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
for index in $(seq 0 "${last:-0}"); do
    name=$id${last:+_$index}
    echo RUNNING > "$FAKE_SLURM/$name.state"
    (
        export SLURM_JOB_ID=$((id + 1000 * index)) SLURM_NTASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0
        export SLURM_NODEID=0 SLURM_JOB_NUM_NODES=1
        [ -z "$last" ] || export SLURM_ARRAY_JOB_ID=$id SLURM_ARRAY_TASK_ID=$index
        while true; do
            rm -f "$FAKE_SLURM/$name.requeue"
            bash "$FAKE_SLURM/$id.script" >> "$FAKE_SLURM/$name.log" 2>&1; code=$?
            [ -e "$FAKE_SLURM/$name.requeue" ] || break
        done
        [ $code = 0 ] && state=COMPLETED || state=FAILED
        echo $state > "$FAKE_SLURM/$name.state"
    ) < /dev/null > /dev/null 2>&1 &
done
echo "Submitted batch job $id"
""",
    "srun": """
while [ $# -gt 0 ]; do
    case $1 in --output | --error) shift 2 ;; --*) shift ;; *) break ;; esac
done
echo $$ > "$FAKE_SLURM/$SLURM_ARRAY_TASK_ID.pid"
exec "$@"
""",
    "sacct": """
echo "JobID|State|NodeList"
for file in "$FAKE_SLURM"/*.state; do
    echo "$(basename "$file" .state)|$(cat "$file")|here"
done
""",
    "scontrol": 'touch "$FAKE_SLURM/$2.requeue"',
}


def install(folder: Path, monkeypatch) -> Path:
    """Put the commands first on the PATH; returns the folder of job scripts, states and logs."""
    state, commands = folder / "slurm", folder / "bin"
    state.mkdir()
    commands.mkdir()
    for name, text in COMMANDS.items():
        (commands / name).write_text(f"#!/bin/bash\n{text}")
        (commands / name).chmod(0o755)
    monkeypatch.setenv("FAKE_SLURM", str(state))
    monkeypatch.setenv("PATH", str(commands), prepend=":")
    return state
