"""Trains the runs of a sweep on a cluster, through submitit: one job of a SLURM array for each.

Before its time limit, and when it is pre-empted, a job saves, stops and is queued again; so a run
may be longer than the limit. ``--cluster local`` does the same in processes on this machine, all
at once, to try the procedure.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from cizsl.sweep.launch import Outcome, TrainingProcess
from cizsl.sweep.plan import PlannedRun
from repro.config import Settings
from repro.errors import InputError
from repro.signals import Interrupted, StopRequest

POLL_SECONDS = 2.0


class Resources(Settings):
    """What each run gets."""

    partition: str | None = Field(default=None, description="SLURM partition")
    account: str | None = Field(default=None, description="SLURM account that is charged")
    qos: str | None = Field(default=None, description="SLURM quality of service")
    constraint: str | None = Field(default=None, description="SLURM constraint on nodes")
    gpus: NonNegativeInt = Field(default=1, description="number of GPUs")
    cpus: PositiveInt = Field(default=8, description="number of cores, and of threads")
    memory: PositiveFloat = Field(default=32, description="GB of main memory")
    minutes: PositiveInt = Field(
        default=240, description="time limit of a job, then it is queued again"
    )
    requeues: NonNegativeInt = Field(
        default=20, description="how often a run may reach the time limit"
    )
    warning: PositiveInt = Field(
        default=120, description="seconds before the time limit that a run saves"
    )
    parallel: PositiveInt = Field(default=16, description="jobs at a time")
    setup: list[str] = Field(
        default=[], description="shell lines before each job, such as module load"
    )


class ClusterLauncher:
    """Trains runs as jobs of a cluster; see :meth:`launch`.

    Args:
        cluster: ``slurm`` or ``local``.
        resources: of each job.
        root: submitit's own files go to ``root/.cluster``.
        stop: checked at every poll of the queue.
        show: told the state of each waiting job, by the name of its run.
    """

    def __init__(
        self,
        cluster: str,
        resources: Resources,
        root: Path,
        stop: StopRequest,
        show: Callable[[dict[str, str]], None],
    ):
        self.cluster, self.resources, self.root = cluster, resources, root
        self.stop, self.show = stop, show

    def launch(self, runs: list[PlannedRun]) -> Iterator[Outcome]:
        """Submit the runs and yield outcomes as they come.

        After a stop request local jobs save and stop. Those of SLURM continue:
        :class:`Interrupted` then says how to end them. Raises :class:`InputError` if submitit or
        SLURM is not there.
        """
        waiting = self._submitted(runs)
        while waiting:
            for job in [job for job in waiting if job.done()]:
                yield _outcome(job, waiting.pop(job), self.stop.requested)
            self.show({t.run.name: job.state.lower() for job, t in waiting.items()})
            if self.stop.requested:
                self._stop(waiting)
            time.sleep(POLL_SECONDS)

    def _submitted(self, runs: list[PlannedRun]) -> dict[Any, TrainingProcess]:
        executor = _executor(self.cluster, self.resources, self.root)
        threads = {"OMP_NUM_THREADS": str(self.resources.cpus)}
        trainings = [TrainingProcess(run, threads) for run in runs]
        with executor.batch():
            jobs = [executor.submit(training) for training in trainings]
        return dict(zip(jobs, trainings, strict=True))

    def _stop(self, jobs: dict[Any, TrainingProcess]) -> None:
        if self.cluster == "slurm":
            arrays = " ".join(sorted({job.job_id.split("_")[0] for job in jobs}))
            raise Interrupted(
                f"{len(jobs)} jobs continue in the queue; scancel {arrays} ends them, and the same "
                "sweep can resume them"
            )
        for job in jobs:
            job.cancel()


def _outcome(job: Any, training: TrainingProcess, stopped: bool) -> Outcome:
    try:
        code = job.result()
    except RuntimeError:  # the parent of submitit's errors: the job died, or raised
        failure = f"job {job.job_id} ended as {job.state.lower()}; see {job.paths.stderr}"
        return Outcome(training.run, failure, stopped)
    return Outcome(training.run, training.reason(code), bool(code) and stopped)


def _executor(cluster: str, resources: Resources, root: Path) -> Any:
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
    executor.update_parameters(**_parameters(resources))
    return executor


def _parameters(resources: Resources) -> dict[str, Any]:
    """Return the resources under submitit's names."""
    return {
        "name": "cizsl",
        "timeout_min": resources.minutes,
        "mem_gb": resources.memory,
        "cpus_per_task": resources.cpus,
        "gpus_per_node": resources.gpus or None,
        "slurm_partition": resources.partition,
        "slurm_account": resources.account,
        "slurm_qos": resources.qos,
        "slurm_constraint": resources.constraint,
        "slurm_signal_delay_s": resources.warning,
        "slurm_array_parallelism": resources.parallel,
        "slurm_setup": resources.setup or None,
        "slurm_additional_parameters": {"requeue": True},
        "local_setup": resources.setup or None,
    }
