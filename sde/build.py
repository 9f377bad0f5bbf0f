"""Build what a configuration describes: data, process, network, loss, optimiser.

Each function reads the sections it needs; what it builds never sees the configuration.
"""

import copy
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from repro.device import precision
from repro.errors import InputError
from repro.plugins import is_plugin, resolve
from repro.seeding import generator, seed_everything
from sde import losses
from sde.config.model import NOT_OF_DDPM, UNETS
from sde.config.run import SDEConfig
from sde.data import labels
from sde.data import registry as datasets
from sde.data.dataset import Dataset, DataSpec
from sde.discrete import DDPMTable, SMLDTable
from sde.ema import EMA
from sde.networks import NETWORKS, EnergyNetwork
from sde.processes import PROCESSES, SDE
from sde.reverse import ScoreFn
from sde.score import Network, discrete_network, discrete_score_fn, score_fn

# one stream of random numbers for each purpose
TRAINING, EVALUATION, SAMPLING, LIKELIHOOD, DROPOUT = range(5)

# (logarithm, scale) of each conditioning in a U-Net, which embeds scale * condition, or scale *
# log(condition): a span of about 1000 for "positional", log std or log t for "fourier"
EMBEDDED = {
    "time": {"positional": (False, 999), "fourier": (True, 1)},
    "time_999": {"positional": (False, 1), "fourier": (True, 1)},
    "std": {"positional": (True, 100), "fourier": (True, 1)},
    "log_noise": {"positional": (False, 400), "fourier": (False, 4)},
}
# (network, x0 (B, ...), u (B,) uniform on [0, 1), z like x0) -> Loss
LossFn = Callable[[Network, Tensor, Tensor, Tensor], losses.Loss]


def dataset(
    config: SDEConfig, device: torch.device, *, examples: bool = True, read_only: bool = False
) -> Dataset:
    """The data set on the device. Raises InputError for bad files.

    Without ``examples`` a published set of images has its spec alone, and no file is read; other
    data are loaded all the same. ``read_only`` neither downloads files nor fills the cache.
    """
    settings = config.data
    if not examples:
        known = datasets.data_spec(settings.name, centred=settings.centred)
        if known is not None:
            # a caller that passes examples=False uses the spec alone
            return Dataset(known, None, None)  # pyright: ignore[reportArgumentType]
    loaded = datasets.load(**settings.model_dump(exclude={"memory"}), read_only=read_only)
    return loaded.to(device, settings.memory)


def data_spec(config: SDEConfig, device: torch.device) -> DataSpec:
    """The spec of the data, for which files are read only where nothing else tells it."""
    return dataset(config, device, examples=False).spec


def process(config: SDEConfig) -> SDE:
    """The forward process. Raises InputError for parameters that it does not take."""
    settings = config.process
    kind = resolve(settings.name, PROCESSES, "process")
    return _made(kind, "process", settings.name, settings.arguments)


def network_for(config: SDEConfig, spec: DataSpec, device: torch.device) -> nn.Module:
    """The network for data of this spec, with seeded weights.

    Raises InputError as ``network``, and where the data have no labels of ``model.condition``.
    """
    return network(config, spec.shape, device, **labels.sizes(config.model.condition, spec))


def network(
    config: SDEConfig, shape: tuple[int, ...], device: torch.device, **label: int
) -> nn.Module:
    """The network for examples of this shape, with seeded weights.

    ``label`` is ``classes`` or ``vector`` of a conditional network (`sde.networks.label`). Raises
    InputError for sizes that do not fit, and for a condition that timestep 0 does not have.
    """
    seed_everything(config.seed)
    model = config.model
    kind = resolve(model.network, NETWORKS, "network")
    how: dict[str, Any]
    if model.network in UNETS:
        how = dict(_unet(config), centred=config.data.centred)
    elif model.network in NETWORKS:
        taken = inspect.signature(kind).parameters
        sizes = {name: getattr(model, name) for name in ("hidden_dim", "depth", "frequencies")}
        sizes["centred"] = config.data.centred
        how = {name: value for name, value in sizes.items() if name in taken}
    else:
        how = model.parameters
    net = _made(kind, "model", model.network, how | label, shape)
    if model.energy != "none":
        net = EnergyNetwork(net, form=model.energy, downhill=model.prediction == "score")
    return net.to(device)


def _made(kind: Callable, section: str, name: str, how: dict, *arguments):
    """kind(*arguments, **how), where a plugin may refuse what it is given."""
    try:
        return kind(*arguments, **how)
    except TypeError as error:
        if not is_plugin(name):
            raise
        raise InputError(f"{section}.parameters: {name}: {error}") from None


def _unet(config: SDEConfig) -> dict:
    """The arguments of a U-Net."""
    model = config.model
    how = model.unet.model_dump(exclude=set(NOT_OF_DDPM) if model.network == "ddpm" else None)
    log, scale = EMBEDDED[model.conditioning][model.unet.embedding]
    # timestep 0 is at time 0, where vp has no noise
    zero = config.process.name == "vp" or model.conditioning in ("time", "time_999")
    if config.loss.num_timesteps is not None and log and zero and model.unet.conditional:
        raise InputError(
            f"loss.num_timesteps: {model.conditioning} is 0 at timestep 0, and the U-Net takes its "
            "logarithm; "
            "set model.conditioning=time_999 and model.unet.embedding=positional"
        )
    return {**how, "log_condition": log, "condition_scale": scale}


def to_memory_format(config: SDEConfig, network: nn.Module) -> nn.Module:
    """The same network, channels last if ``compute.channels_last``."""
    if config.compute.channels_last:
        # the stubs lack this form of the call
        network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return network


def compile_network(config: SDEConfig, network: nn.Module) -> nn.Module:
    """The same network, compiled if ``compute.compile``."""
    if config.compute.compile:
        network.compile()
    return network


def inference_network(config: SDEConfig, network: nn.Module, device: torch.device) -> Network:
    """The network as samplers call it: in ``sampling.precision``, compiled if ``compute.compile``.

    The module itself is not changed. The likelihood differentiates it for several probes at once,
    which PyTorch can do in the default memory format only.
    """
    name = config.sampling.precision
    if config.compute.channels_last:
        network = to_memory_format(config, copy.deepcopy(network))
    call = torch.compile(network) if config.compute.compile else network

    def at_precision(x: Tensor, condition: Tensor, *label: Tensor) -> Tensor:
        with precision(name, device):
            return call(x, condition, *label).to(x.dtype)

    return call if name == "float32" else at_precision


def ema(config: SDEConfig, network: nn.Module) -> EMA:
    """The moving average of the weights."""
    settings = config.optimiser
    return EMA(network, settings.ema_decay, from_untrained=settings.reference_compat)


def learning_rate(config: SDEConfig, step: int) -> float:
    """The learning rate of a step, counted from 0: it rises linearly, then stays.

    The first step has 1 / warmup_steps of it; as published, nothing of it.
    """
    settings = config.optimiser
    done = step if settings.reference_compat else step + 1
    return settings.learning_rate * min(1.0, done / max(1, settings.warmup_steps))


def table(config: SDEConfig) -> SMLDTable | DDPMTable | None:
    """The discrete table to train on; None for continuous time."""
    p, num_timesteps = config.process, config.loss.num_timesteps
    if num_timesteps is None:
        return None
    if p.name == "ve":
        return SMLDTable(p.sigma_min, p.sigma_max, num_timesteps)
    return DDPMTable(p.beta_min, p.beta_max, num_timesteps)


def score(config: SDEConfig, sde: SDE, network: Network) -> ScoreFn:
    """The score function of a network."""
    how = config.model.model_dump(include={"prediction", "conditioning"})
    discrete = table(config)
    if discrete is not None:
        return discrete_score_fn(discrete, discrete_network(sde, discrete, network, **how))
    return score_fn(sde, network, **how)


def loss(config: SDEConfig, sde: SDE) -> LossFn:
    """The loss, as a function of uniform numbers, from which times or timesteps are computed."""
    settings, discrete = config.loss, table(config)
    parts = config.model.model_dump(include={"prediction", "conditioning"})

    kind = "log_noise" if settings.weighting == "importance" else settings.times
    times = losses.TimeSampling(kind, settings.log_mean, settings.log_std)

    def denoising(network: Network, x0: Tensor, u: Tensor, z: Tensor) -> losses.Loss:
        t = times.draw(sde, u, settings.eps)
        z = losses.optimal_transport(x0, z) if settings.coupling == "optimal_transport" else z
        how = settings.model_dump(include={"weighting", "reduce", "eps"})
        score = score_fn(sde, network, **parts)
        found = losses.denoising_score_matching(sde, score, x0, t, z, **how)
        return times.corrected(found, sde, t, settings.eps) if settings.corrected else found

    if discrete is None:
        return denoising

    def on_table(network: Network, x0: Tensor, u: Tensor, z: Tensor) -> losses.Loss:
        count = discrete.num_timesteps
        timestep = (u * count).long().clamp(max=count - 1)
        adapted = discrete_network(sde, discrete, network, **parts)
        loss = losses.DISCRETE_LOSSES[type(discrete)]
        return loss(discrete, adapted, x0, timestep, z, reduce=settings.reduce)

    return on_table


def optimiser(config: SDEConfig, network: nn.Module) -> torch.optim.Adam:
    """Adam; the loop sets its learning rate."""
    settings = config.optimiser
    how: dict[str, Any] = dict(
        lr=settings.learning_rate, betas=settings.betas, fused=config.compute.fused
    )
    return torch.optim.Adam(network.parameters(), **how)


def stream(config: SDEConfig, device: torch.device, purpose: int, *part: int) -> torch.Generator:
    """The random numbers of one purpose, so that measuring a model does not change its training."""
    return generator(config.seed, device, purpose, *part)


def summary(config: SDEConfig, dataset_name: str, network: nn.Module, iterations: int) -> dict:
    """What ``results.json`` says of a trained model, JSON-ready."""
    return {
        "dataset": dataset_name,
        "process": config.process.name,
        "network": config.model.network,
        "energy": config.model.energy,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "seed": config.seed,
        "iterations": iterations,
    }
