"""The noise tables of the discrete models, SMLD and DDPM.

    SMLD:  sigma_k = sigma_min (sigma_max / sigma_min)^(k / (N-1)),   x_k = x_0 + sigma_k z
    DDPM:  beta_k = (beta_min + (beta_max - beta_min) k / (N-1)) / N,  alpha_k = 1 - beta_k,
           x_k = sqrt(prod_{j<=k} alpha_j) x_0 + sqrt(1 - prod_{j<=k} alpha_j) z

for k = 0..N-1 (Song et al. 2021, arXiv:2011.13456, section 3.4 and appendix B). They agree with the
SDEs to O(1/N^2) per step, not exactly: a model trained on a table is sampled on that table.

A network is conditioned on an integer timestep. For DDPM it is k; for SMLD it counts from the
largest noise, N-1-k.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from repro.errors import InputError
from sde.broadcast import per_sample
from sde.processes import Transition, require_ordered


def require_timesteps(n: int) -> None:
    """Raise InputError unless ``n`` is a whole number, at least 2."""
    if not isinstance(n, int) or isinstance(n, bool) or n < 2:
        raise InputError(f"num_timesteps must be a whole number, at least 2; got {n!r}")


def table_index(t: Tensor, n: int) -> Tensor:
    """The index k = floor(t (N-1)) of the published code for times t in [0, 1], (B,) long.

    The small constant undoes the rounding of a product that should be a whole number.
    """
    return (t.double() * (n - 1) + 1e-6).long().clamp(0, n - 1)


@dataclass(frozen=True)
class SMLDTable:
    """N geometric noise levels sigma_k, ascending.

    Raises InputError unless 0 < sigma_min < sigma_max and num_timesteps >= 2.
    """

    sigma_min: float = 0.01
    sigma_max: float = 50.0
    num_timesteps: int = 1000
    predictions = ("score", "noise")  # what a network may predict

    def __post_init__(self):
        require_ordered("sigma_min", self.sigma_min, "sigma_max", self.sigma_max, strict=True)
        require_timesteps(self.num_timesteps)

    def sigmas(self, like: Tensor) -> Tensor:
        """sigma_k, (N,) ascending, in the dtype and on the device of ``like``."""
        k = torch.linspace(0, 1, self.num_timesteps, dtype=torch.float64, device=like.device)
        return (self.sigma_min * (self.sigma_max / self.sigma_min) ** k).to(like.dtype)

    def transition(self, t: Tensor) -> Transition:
        """The step from the index of time t (B,) to the one below; from index 0, to no noise."""
        sigmas, k = self.sigmas(t), table_index(t, self.num_timesteps)
        std_s = torch.where(k == 0, torch.zeros_like(t), sigmas[(k - 1).clamp(min=0)])
        std_t, dt = sigmas[k], torch.full_like(t, 1 / self.num_timesteps)
        std = ((std_t - std_s) * (std_t + std_s)).sqrt()
        return Transition(t, t, dt, torch.ones_like(t), std, std_s, std_t, std * std_s / std_t)

    def timestep(self, t: Tensor) -> Tensor:
        """The timestep of time t (B,): round((1 - t)(N-1)), (B,) long."""
        return torch.round((1 - t.double()) * (self.num_timesteps - 1)).long()

    def time(self, timestep: Tensor) -> Tensor:
        """The time at which the SDE has the noise of these timesteps (B,), float64."""
        return 1 - timestep.double() / (self.num_timesteps - 1)

    def fractional_timestep(self, t: Tensor) -> Tensor:
        """The timestep that the published sampler uses; SMLD rounds it as training does."""
        return self.timestep(t)

    def score(self, output: Tensor, timestep: Tensor) -> Tensor:
        """The score from a network's output, which for SMLD is the score."""
        return output

    def output_from_noise(self, noise: Tensor, timestep: Tensor, x: Tensor) -> Tensor:
        """The score -noise / sigma from predicted noise, in the dtype of x (B, ...)."""
        return -noise / per_sample(self.sigma_at(timestep.round().long(), x), x)

    def sigma_at(self, timestep: Tensor, like: Tensor) -> Tensor:
        """sigma_{N-1-timestep} (B,), in the dtype of ``like``."""
        return self.sigmas(like)[self.num_timesteps - 1 - timestep]


@dataclass(frozen=True)
class DDPMTable:
    """N noise levels of DDPM.

    Raises InputError unless 0 <= beta_min <= beta_max, beta_max > 0 and every beta_k < 1.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0
    num_timesteps: int = 1000
    predictions = ("noise",)  # what a network may predict

    def __post_init__(self):
        require_ordered("beta_min", self.beta_min, "beta_max", self.beta_max, strict=False)
        require_timesteps(self.num_timesteps)
        if self.num_timesteps <= self.beta_max:
            raise InputError(
                f"a DDPM table needs more timesteps than beta_max: "
                f"beta = {self.beta_max}/{self.num_timesteps} would be 1 or more; "
                f"use more than {self.beta_max:g} steps or the exact grid"
            )

    def betas(self, like: Tensor) -> Tensor:
        """beta_k, (N,) in the dtype and on the device of ``like``."""
        k = torch.linspace(0, 1, self.num_timesteps, dtype=torch.float64, device=like.device)
        betas = (self.beta_min + (self.beta_max - self.beta_min) * k) / self.num_timesteps
        return betas.to(like.dtype)

    def log_alphas_cumprod(self, like: Tensor) -> Tensor:
        """log prod_{j<=k} alpha_j, (N,), summed in float64."""
        return torch.log1p(-self.betas(like).double()).cumsum(0).to(like.dtype)

    def timestep(self, t: Tensor) -> Tensor:
        """The timestep of time t (B,): floor(t (N-1)), (B,) long."""
        return table_index(t, self.num_timesteps)

    def time(self, timestep: Tensor) -> Tensor:
        """The time that the published sampler gives these timesteps (B,): k / (N-1), float64."""
        return timestep.double() / (self.num_timesteps - 1)

    def fractional_timestep(self, t: Tensor) -> Tensor:
        """The timestep that the published sampler uses: t (N-1), not rounded."""
        return t * (self.num_timesteps - 1)

    def score(self, output: Tensor, timestep: Tensor) -> Tensor:
        """The score from a network's output, which for DDPM is the noise: -output / std_k."""
        std = self.scale_and_std(timestep, output)[1]
        return -output / std.reshape(-1, *[1] * (output.ndim - 1))

    def output_from_noise(self, noise: Tensor, timestep: Tensor, x: Tensor) -> Tensor:
        """The predicted noise itself, which is what the network of a DDPM returns."""
        return noise

    def scale_and_std(self, timestep: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(abar_k) and sqrt(1 - abar_k) at timesteps (B,), in the dtype of ``like``."""
        log_abar = self.log_alphas_cumprod(like)[timestep]
        return torch.exp(0.5 * log_abar), (-torch.expm1(log_abar)).sqrt()

    def transition(self, t: Tensor) -> Transition:
        """The step from the index of time t (B,) to the one below; from index 0, to no noise.

        The ancestral noise is sqrt(beta_k), the larger of the two choices of DDPM
        (arXiv:2006.11239, section 3.2), as in the published code.
        """
        k = table_index(t, self.num_timesteps)
        beta, std_t = self.betas(t)[k], self.scale_and_std(k, t)[1]
        std_s = self.scale_and_std((k - 1).clamp(min=0), t)[1]
        std_s = torch.where(k == 0, torch.zeros_like(t), std_s)
        dt, std = torch.full_like(t, 1 / self.num_timesteps), beta.sqrt()
        return Transition(t, t, dt, (1 - beta).sqrt(), std, std_s, std_t, std)
