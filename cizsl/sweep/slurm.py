"""Runs on a cluster, through submitit: one job of a SLURM array for each.

Before its time limit, and when it is pre-empted, a job saves, stops and is queued again; so a run
may be longer than the limit. ``--cluster local`` does the same in processes on this machine, all
at once: it is there to try things out.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from cizsl.sweep.launch import Outcome, Planned, Training
from repro.config import Settings
from repro.errors import InputError
from repro.signals import Interrupted, StopRequest

CLUSTERS = ("slurm", "local")


class Resources(Settings):
    """What one run gets."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gpus: NonNegativeInt = 1
    cpus: PositiveInt = Field(8, description="also the number of threads")
    memory: PositiveFloat = Field(32, description="GB of main memory")
    minutes: PositiveInt = Field(240, description="time limit of a job, then it is queued again")
    requeues: NonNegativeInt = Field(20, description="times that a run may reach the limit")
    warning: PositiveInt = Field(120, description="seconds before the limit that a run saves")
    parallel: PositiveInt = Field(16, description="jobs at a time")
    setup: list[str] = Field([], description="shell lines before each job, such as module load")


def on_cluster(
    runs: list[Planned],
    stop: StopRequest,
    show: Callable[[str], None],
    *,
    cluster: str,
    resources: Resources,
    root: Path,
    poll: float = 2.0,
) -> Iterator[Outcome]:
    """Submit the runs and yield outcomes as they come; files of submitit go to ``root/.cluster``.

    After a stop request local jobs save and stop. Those of SLURM go on: :class:`Interrupted` then
    says how to end them. Raises :class:`InputError` if submitit or SLURM is not there.
    """
    executor = _executor(cluster, resources, root)
    trainings = [Training(run, {"OMP_NUM_THREADS": str(resources.cpus)}) for run in runs]
    with executor.batch():
        jobs = [executor.submit(training) for training in trainings]
    waiting = dict(zip(jobs, trainings, strict=True))
    while waiting:
        for job in [job for job in waiting if job.done()]:
            yield _outcome(job, waiting.pop(job), stop.requested)
        show("; ".join(f"{t.run.name} {job.state.lower()}" for job, t in waiting.items()))
        if stop.requested:
            if cluster == "slurm":
                raise Interrupted(_goes_on(waiting))
            for job in waiting:
                job.cancel()
        time.sleep(poll)


def _goes_on(jobs) -> str:
    arrays = " ".join(sorted({job.job_id.split("_")[0] for job in jobs}))
    return f"{len(jobs)} jobs go on in the queue; scancel {arrays} ends them, and they can resume"


def _outcome(job, training: Training, stopped: bool) -> Outcome:
    try:
        code = job.result()
    except RuntimeError:  # the parent of submitit's errors: the job died, or raised
        failure = f"job {job.job_id} ended as {job.state.lower()}; see {job.paths.stderr}"
        return Outcome(training.run, failure, stopped)
    return Outcome(training.run, training.reason(code), bool(code) and stopped)


def _executor(cluster: str, resources: Resources, root: Path):
    try:
        import submitit
    except ImportError:
        raise InputError(
            f"--cluster {cluster} needs submitit: pip install -c constraints.txt -e '.[slurm]'"
        ) from None
    limits = {f"{cluster}_max_num_timeout": resources.requeues}
    try:
        executor = submitit.AutoExecutor(root / ".cluster" / "%j", cluster, **limits)
    except RuntimeError as error:
        raise InputError(f"--cluster {cluster}: {error}") from None
    executor.update_parameters(
        name="cizsl",
        timeout_min=resources.minutes,
        mem_gb=resources.memory,
        cpus_per_task=resources.cpus,
        gpus_per_node=resources.gpus or None,
        slurm_partition=resources.partition,
        slurm_account=resources.account,
        slurm_qos=resources.qos,
        slurm_constraint=resources.constraint,
        slurm_signal_delay_s=resources.warning,
        slurm_array_parallelism=resources.parallel,
        slurm_setup=resources.setup or None,
        slurm_additional_parameters={"requeue": True},
        local_setup=resources.setup or None,
    )
    return executor
