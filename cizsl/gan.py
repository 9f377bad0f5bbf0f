"""The two training steps, and the state they change.

An iteration is ``critic_steps`` critic steps and one generator step. The class texts are projected
once for all of them, since only the generator step changes the projection. What carries no
gradient is not computed: no critic weight gradients in the generator step, no graph through the
generator in the critic steps. Nothing here waits for the device.

The floor of an iteration at B rows, D features, H hidden units, in products of B D H
multiply-adds (29.4 GFLOP at the published sizes): critic step 7 (generate 1, real and generated
forward 2, their weight gradients 2, penalty gradient 1 and its weight gradient 1), generator step
10 with hallucinated samples (generate 2, critic 2, back through the critic 2, generator weight and
input gradients 4), 5 without. Five critic steps and one generator step: 45, or 40.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from cizsl import losses
from cizsl.batches import CriticBatch, GeneratorBatch, Hallucination
from cizsl.divergences import DivergenceParameters
from cizsl.hallucination import mixture
from cizsl.losses import Terms
from cizsl.networks import Discriminator, Generator


@dataclass(frozen=True)
class Weights:
    """The weight of every term of the losses, by the names in :mod:`cizsl.losses`."""

    gradient_penalty: float
    classification: float
    pivot: float
    l2: float
    l21: float
    hallucinated_realness: float
    creativity: float


class GAN:
    """Networks, optimisers and the steps.

    Args: the networks and exponents; the training images ``features`` (N, D) and ``labels`` (N,),
    class texts (C, V) and visual ``centroids`` (C, D), all on one device; ``divergence``, a name
    or None (GAZSL: no hallucination); ``form`` exact or published; ``weights``; Adam's settings;
    ``published_pivot`` (see :func:`losses.pivot`); ``compile``: through torch.compile.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        exponents: DivergenceParameters,
        *,
        features: Tensor,
        labels: Tensor,
        text: Tensor,
        centroids: Tensor,
        divergence: str | None,
        form: str = "exact",
        weights: Weights,
        learning_rate: float = 1e-4,
        betas: tuple[float, float] = (0.5, 0.9),
        exponent_betas: tuple[float, float] = (0.5, 0.999),
        published_pivot: bool = False,
        compile: bool = False,
    ):
        self.generator, self.discriminator, self.exponents = generator, discriminator, exponents
        self.features, self.labels, self.text = features, labels, text
        self.centroids, self.gram = centroids, text @ text.T
        self.divergence, self.form, self.weights = divergence, form, weights
        self.published_pivot = published_pivot
        adam = {"lr": learning_rate, "fused": True}
        self.optimisers = {
            "discriminator": torch.optim.Adam(discriminator.parameters(), betas=betas, **adam),
            "generator": torch.optim.Adam(generator.parameters(), betas=betas, **adam),
        }
        if exponents.raw.numel():
            self.optimisers["exponents"] = torch.optim.Adam(
                exponents.parameters(), betas=exponent_betas, **adam
            )
        compiled = torch.compile if compile else lambda function: function
        self._critic_terms = compiled(losses.critic_terms)
        self._generator_terms = compiled(self._generator_terms)
        self._projected = None

    @property
    def teaches_new_class(self) -> bool:
        """Whether the critic sees hallucinated samples as class K (the exact K+1 variant)."""
        return self.divergence == "new_class" and self.form == "exact"

    def critic_step(self, draws: CriticBatch) -> Terms:
        """One step of the discriminator; returns its terms, detached."""
        labels = self.labels[draws.index]
        with torch.no_grad():
            projected = self._project_classes()
            fake = self.generator.decode(draws.z, projected[labels])
        terms = self._critic_terms(
            self.discriminator, self.features[draws.index], fake, labels, draws.weight
        )
        weights = self.weights
        loss = terms["fake"] - terms["real"]
        loss = loss + weights.gradient_penalty * terms["gradient_penalty"]
        classify = terms["classify_real"] + terms["classify_fake"]
        if draws.hallucination is not None:
            classify = classify + self._classify_new(draws.hallucination, projected)
        self._descend(loss + weights.classification * classify, "discriminator")
        return {name: term.detach() for name, term in terms.items()}

    def generator_step(self, draws: GeneratorBatch) -> Terms:
        """One step of the generator (and of the exponents); returns its terms, detached."""
        self.discriminator.requires_grad_(False)
        terms = self._generator_terms(draws)
        self._descend(sum(terms.values()), "generator", "exponents")
        self.discriminator.requires_grad_(True)
        self._projected = None
        return {name: term.detach() for name, term in terms.items()}

    def _generator_terms(self, draws: GeneratorBatch) -> Terms:
        """The generator's terms, each with its weight."""
        weights, labels, dtype = self.weights, self.labels[draws.index], self.features.dtype
        projected = self.generator.project(self.text)
        rows, z = torch.nn.functional.embedding(labels, projected), draws.z
        if draws.hallucination is not None:
            rows = torch.cat([rows, self._mixture(draws.hallucination).of(projected)])
            z = torch.cat([z, draws.hallucination.z])
        fake = self.generator.decode(z, rows)
        critic, logits = self.discriminator(fake)
        size = len(labels)
        pivot = losses.pivot(fake[:size], labels, self.centroids, self.published_pivot)
        classify = torch.nn.functional.cross_entropy(logits[:size], labels)
        terms = {
            "realness": -critic[:size].to(dtype).mean(),
            "classification": weights.classification * classify / 2,
            "pivot": weights.pivot * pivot,
            "l2": weights.l2 * losses.l2(self.generator),
            "l21": weights.l21 * losses.l21(self.generator),
        }
        if draws.hallucination is not None:
            realness = -critic[size:].to(dtype).mean()
            terms["hallucinated_realness"] = weights.hallucinated_realness * realness
            terms["creativity"] = self._creativity(logits[size:].to(dtype))
        return terms

    def _creativity(self, logits: Tensor) -> Tensor:
        loss = losses.creativity(logits, self.divergence, self.exponents(), self.form)
        ignored = self.divergence == "new_class" and self.form == "published"
        return loss if ignored else self.weights.creativity * loss

    def _classify_new(self, drawn: Hallucination, projected: Tensor) -> Tensor:
        """Cross-entropy of hallucinated samples with the class that no image has."""
        with torch.no_grad():
            fake = self.generator.decode(drawn.z, self._mixture(drawn).of(projected))
        return losses.creativity(self.discriminator(fake)[1], "new_class", (1.0, 1.0))

    def _mixture(self, drawn: Hallucination):
        return mixture(self.gram, drawn.first, drawn.second, drawn.weight)

    def _project_classes(self) -> Tensor:
        if self._projected is None:
            self._projected = self.generator.project(self.text)
        return self._projected

    def _descend(self, loss: Tensor, *names: str) -> None:
        with torch.autocast(loss.device.type, enabled=False):  # types are those of the forward pass
            loss.backward()
        for name in names:
            if name in self.optimisers:
                self.optimisers[name].step()
                self.optimisers[name].zero_grad(set_to_none=True)

    def modules(self) -> dict[str, torch.nn.Module]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "exponents": self.exponents,
        }

    def state_dict(self) -> dict:
        """Networks, exponents and optimisers."""
        parts = {**self.modules(), **{f"{k}_adam": v for k, v in self.optimisers.items()}}
        return {name: part.state_dict() for name, part in parts.items()}

    def load_state_dict(self, state: dict) -> None:
        parts = {**self.modules(), **{f"{k}_adam": v for k, v in self.optimisers.items()}}
        for name, part in parts.items():
            part.load_state_dict(state[name])
        self._projected = None
