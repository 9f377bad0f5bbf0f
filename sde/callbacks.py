"""What is written while a training goes on: figures of samples, the loss curve, a logger."""

import sys
import time

from torch import nn

from repro.device import precision
from repro.errors import InputError
from repro.loggers import make_logger
from repro.run import RunFolder
from sde import build
from sde.config.run import SDEConfig
from sde.data.dataset import Dataset
from sde.processes import SDE
from sde.records import Progress, Record
from sde.trained_model import TrainedModel

CURVE_SECONDS = 30.0  # least time between two versions of training.png


class TrainingCallbacks:
    """Writes ``training.png`` and ``training/samples_*.png``, and passes records to the logger.

    Raises InputError where the logger of ``compute.logger`` is not installed.
    """

    def __init__(self, config: SDEConfig, folder: RunFolder, data: Dataset, sde: SDE):
        self.config, self.folder, self.data, self.sde = config, folder, data, sde
        settings = config.model_dump(mode="json")
        self.logger = make_logger(config.compute.logger, folder.path, settings)
        self.drawn = time.monotonic()  # when training.png was last written

    def record(self, records: list[Record]) -> None:
        """Log the last of ``records``; draw all of them, at most once in 30 seconds."""
        self.logger.log(records[-1], records[-1]["iteration"])
        if time.monotonic() - self.drawn >= CURVE_SECONDS:
            self._draw_curve(records)

    def finish(self, records: list[Record]) -> None:
        """Draw the final ``training.png`` and close the logger."""
        self._draw_curve(records)
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
                x = draw(trained, settings.sampler, settings.steps, settings.count).x.cpu()
        except InputError as error:  # samples of a young model may not be finite: training goes on
            print(f"warning: no figure at iteration {progress.step}: {error}", file=sys.stderr)
            return
        title = f"iteration {progress.step}, {settings.sampler}, {settings.steps} steps"
        figure = figures.samples(x, self.data, title=title)
        self.logger.figure("samples", figure, progress.step)
        path = self.folder.path / "training" / f"samples_{progress.step:08d}.png"
        figures.save(figure, path)

    def _draw_curve(self, records: list[Record]) -> None:
        from sde import figures  # Matplotlib takes a second to import

        figures.save(figures.training(records), self.folder.path / "training.png")
        self.drawn = time.monotonic()

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
