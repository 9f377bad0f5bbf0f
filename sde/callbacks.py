"""What is looked at while a run goes on: figures of samples, and TensorBoard."""

import sys

from torch import nn

from repro.device import precision
from repro.errors import InputError
from repro.run import RunFolder
from sde import build
from sde.config.run import SDEConfig
from sde.data.dataset import Dataset
from sde.processes import SDE
from sde.trained_model import TrainedModel


class TrainingCallbacks:
    """Writes into the run folder: ``training/samples_*.png``, and ``tensorboard/`` where asked.

    Raises InputError where TensorBoard is asked for and not installed.
    """

    def __init__(self, config: SDEConfig, folder: RunFolder, data: Dataset, sde: SDE):
        self.config, self.folder, self.data, self.sde = config, folder, data, sde
        self.writer = _writer(folder) if config.evaluation.tensorboard else None

    def record(self, record: dict) -> None:
        """Pass a line of ``metrics.jsonl`` on to TensorBoard."""
        if self.writer is not None:
            for name, value in record.items():
                self.writer.add_scalar(name, value, record["iteration"])
            self.writer.flush()

    def grid(self, network: nn.Module, progress) -> None:
        """Draw samples of ``network`` into a figure, if it is time to."""
        every = self.config.evaluation.grid_every
        if not every or progress.step % every:
            return
        from sde import figures
        from sde.sample import draw

        settings = self.config.sampling
        trained = TrainedModel(
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
        try:
            with precision("float32", trained.device):  # whatever training uses
                x = draw(trained, settings.sampler, settings.steps, settings.count).x.cpu()
        except InputError as error:  # samples of a young model may not be finite: training goes on
            print(f"warning: no figure at iteration {progress.step}: {error}", file=sys.stderr)
            return
        title = f"iteration {progress.step}, {settings.sampler}, {settings.steps} steps"
        figure = figures.samples(x, self.data, title=title)
        if self.writer is not None:
            self.writer.add_figure("samples", figure, progress.step, close=False)
        path = self.folder.path / "training" / f"samples_{progress.step:08d}.png"
        figures.save(figure, path)
        if progress.records:
            figures.save(figures.training(progress.records), self.folder.path / "training.png")


def _writer(folder: RunFolder):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError(
            "evaluation.tensorboard: TensorBoard is not installed; pip install '.[tensorboard]'"
        ) from None
    return SummaryWriter(folder.path / "tensorboard")
