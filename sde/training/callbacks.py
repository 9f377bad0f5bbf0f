"""What is written while a training goes on: samples, the loss curve, a page, a logger."""

import sys
import time

from torch import nn

from repro.device import precision
from repro.errors import InputError
from repro.loggers import make_logger
from repro.run import RunFolder
from sde import build
from sde.config.records import Progress, Record
from sde.config.run import SDEConfig
from sde.data.dataset import Dataset
from sde.processes import SDE
from sde.trained_model import TrainedModel

CURVE_SECONDS = 30.0  # least time between two versions of the curve and the page


class TrainingCallbacks:
    """Writes ``training.png``, ``page.html`` and ``training/samples_*.png``; logs records.

    Raises InputError where the logger of ``compute.logger`` is not installed.
    """

    def __init__(self, config: SDEConfig, folder: RunFolder, data: Dataset, sde: SDE):
        self.config, self.folder, self.data, self.sde = config, folder, data, sde
        settings = config.model_dump(mode="json")
        self.logger = make_logger(config.compute.logger, folder.path, settings)
        self.drawn = time.monotonic()  # when the curve and the page were last written
        self.first: tuple[float, int] | None = None  # time and iteration of the first record

    def record(self, records: list[Record]) -> None:
        """Log the last of ``records``; draw all of them, at most once in 30 seconds."""
        self.logger.log(records[-1], records[-1]["iteration"])
        at = time.monotonic(), records[-1]["iteration"]
        self.first = self.first or at
        if at[0] - self.drawn >= CURVE_SECONDS:
            self._draw(records, self._seconds_left(*at))

    def finish(self, records: list[Record]) -> None:
        """Draw the final ``training.png`` and close the logger."""
        self._draw(records, finished=True)
        self.logger.close()

    def samples(self, network: nn.Module, progress: Progress) -> None:
        """Draw samples of ``network`` into a figure every ``evaluation.grid_every`` iterations."""
        every = self.config.evaluation.grid_every
        if not every or progress.step % every:
            return
        from sde import figures
        from sde.sample import draw

        settings, trained = self.config.sampling, self._trained_model(network, progress)
        try:
            with precision("float32", trained.device):  # whatever training uses
                drawn = draw(trained, settings.sampler, settings.steps, settings.count)
        except InputError as error:  # samples of a young model may not be finite: training goes on
            print(f"warning: no figure at iteration {progress.step}: {error}", file=sys.stderr)
            return
        assert drawn is not None  # drawn by the leader alone
        x = drawn.x.cpu()
        title = f"iteration {progress.step}, {settings.sampler}, {settings.steps} steps"
        figure = figures.samples(x, self.data, title=title)
        self.logger.figure("samples", figure, progress.step)
        path = self.folder.path / "training" / f"samples_{progress.step:08d}.png"
        figures.save(figure, path)

    def _draw(
        self, records: list[Record], seconds_left: float | None = None, finished: bool = False
    ) -> None:
        """Write ``training.png`` and ``page.html``."""
        from sde import figures  # Matplotlib takes a second to import
        from sde.training.live_page import Status, write

        figures.save(figures.training(records), self.folder.path / "training.png")
        name = "/".join(self.folder.path.parts[-2:])
        iterations = self.config.optimiser.iterations
        write(self.folder.path, Status(name, iterations, records, seconds_left, finished))
        self.drawn = time.monotonic()

    def _seconds_left(self, now: float, iteration: int) -> float | None:
        """The time to the end at the speed since the first record; None at that record."""
        assert self.first is not None  # `record` sets it
        began, first = self.first
        if iteration == first:
            return None
        return (now - began) / (iteration - first) * (self.config.optimiser.iterations - iteration)

    def _trained_model(self, network: nn.Module, progress: Progress) -> TrainedModel:
        return TrainedModel(
            config=self.config,
            sde=self.sde,
            network=network,
            score_fn=build.score(self.config, self.sde, network),
            data=self.data,
            step=progress.step,
            records=progress.records,
            device=next(network.parameters()).device,
            folder=self.folder.path,
        )
