"""The two training steps, and the state that they change.

An iteration is ``critic_steps`` critic steps and one generator step. The class texts are projected
once for all of them, since only the generator step changes the projection. Nothing without a
gradient is computed: no critic weight gradients in the generator step, no graph through the
generator in the critic steps. No step waits for the device.

The floor of an iteration at B rows, D features, H hidden units, in products of B D H
multiply-adds (29.4 GFLOP at the published sizes): critic step 7 (generate 1, real and generated
forward 2, their weight gradients 2, penalty gradient 1 and its weight gradient 1), generator step
10 with hallucinated samples (generate 2, critic 2, back through the critic 2, generator weight and
input gradients 4), 5 without. Five critic steps and one generator step: 45, or 40.
"""

import torch
from torch import Tensor

from cizsl import losses
from cizsl.batches import CriticBatch, GeneratorBatch, Hallucination
from cizsl.creativity import CreativityLoss
from cizsl.divergences import DivergenceParameters
from cizsl.hallucination import mixture
from cizsl.losses import Terms, Weights
from cizsl.networks import Discriminator, Generator


class GAN:
    """Networks, optimisers and the two training steps.

    Args:
        generator, discriminator, parameters: the modules that are trained.
        features, labels: the training images (N, D) and their classes (N,).
        text, centroids: of each class, (C, V) and (C, D); all on one device.
        creativity: the loss on hallucinated samples; None for GAZSL, which has none.
        weights: of the loss terms.
        learning_rate, betas: Adam's, for both networks.
        divergence_betas: Adam's, for learned divergence parameters.
        reference_compat: see :func:`losses.pivot`.
        compile: whether the loss terms go through torch.compile.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        parameters: DivergenceParameters,
        *,
        features: Tensor,
        labels: Tensor,
        text: Tensor,
        centroids: Tensor,
        creativity: CreativityLoss | None,
        weights: Weights,
        learning_rate: float = 1e-4,
        betas: tuple[float, float] = (0.5, 0.9),
        divergence_betas: tuple[float, float] = (0.5, 0.999),
        reference_compat: bool = False,
        compile: bool = False,
    ):
        self.generator, self.discriminator, self.parameters = generator, discriminator, parameters
        self.features, self.labels, self.text = features, labels, text
        self.centroids, self.gram = centroids, text @ text.T
        self.creativity, self.weights, self.reference_compat = creativity, weights, reference_compat
        adam = {"lr": learning_rate, "fused": True}
        self.optimisers = {
            "discriminator": torch.optim.Adam(discriminator.parameters(), betas=betas, **adam),
            "generator": torch.optim.Adam(generator.parameters(), betas=betas, **adam),
        }
        if parameters.raw.numel():
            self.optimisers["parameters"] = torch.optim.Adam(
                parameters.parameters(), betas=divergence_betas, **adam
            )
        compiled = torch.compile if compile else lambda function: function
        self.compiled_critic_terms = compiled(losses.critic_terms)
        self.compiled_generator_terms = compiled(self._generator_terms)
        self._projected: Tensor | None = None

    @property
    def hallucinates(self) -> bool:
        """Whether the generator learns from hallucinated samples."""
        return self.creativity is not None

    @property
    def teaches_critic(self) -> bool:
        """Whether the critic learns hallucinated samples as class K (the exact K+1 variant)."""
        return self.creativity is not None and self.creativity.teaches_critic

    def critic_step(self, batch: CriticBatch) -> Terms:
        """Take one step of the discriminator; return its terms, unweighted and detached."""
        labels = self.labels[batch.index]
        with torch.no_grad():
            projected = self._project_classes()
            fake = self.generator.decode(batch.z, projected[labels])
        terms = self.compiled_critic_terms(
            self.discriminator, self.features[batch.index], fake, labels, batch.weight
        )
        if batch.hallucination is not None:
            terms["classify_new"] = self._classify_new(batch.hallucination, projected)
        self._descend(losses.weighted(terms, self.weights.critic), "discriminator")
        return {name: term.detach() for name, term in terms.items()}

    def generator_step(self, batch: GeneratorBatch) -> Terms:
        """Take one step of the generator and of the learned divergence parameters; return the
        terms, weighted and detached."""
        self.discriminator.requires_grad_(False)
        terms = losses.weighted(self.compiled_generator_terms(batch), self._generator_weights())
        self._descend(terms, "generator", "parameters")
        self.discriminator.requires_grad_(True)
        self._projected = None
        return {name: term.detach() for name, term in terms.items()}

    def _generator_terms(self, batch: GeneratorBatch) -> Terms:
        """Generate both kinds of samples in one pass, and evaluate the loss terms."""
        labels, dtype, drawn = self.labels[batch.index], self.features.dtype, batch.hallucination
        projected = self.generator.project(self.text)
        rows, z = torch.nn.functional.embedding(labels, projected), batch.z
        if drawn is not None:
            rows = torch.cat([rows, self._mixture(drawn).of(projected)])
            z = torch.cat([z, drawn.z])
        fake = self.generator.decode(z, rows)
        critic, logits = self.discriminator(fake)
        size, critic = len(labels), critic.to(dtype)
        seen = fake[:size], critic[:size], logits[:size]
        terms = losses.generator_terms(
            self.generator, *seen, labels, self.centroids, self.reference_compat
        )
        if drawn is not None:
            new_logits = logits[size:].to(dtype)
            terms |= losses.hallucination_terms(critic[size:], new_logits, self._creativity_loss)
        return terms

    def _creativity_loss(self, logits: Tensor) -> Tensor:
        assert self.creativity is not None  # without it no batch hallucinates
        return self.creativity(logits, *self.parameters())

    def _generator_weights(self) -> dict[str, float]:
        ignored = self.creativity is not None and not self.creativity.weighted
        return self.weights.generator | ({"creativity": 1.0} if ignored else {})

    def _classify_new(self, drawn: Hallucination, projected: Tensor) -> Tensor:
        """Cross-entropy of hallucinated samples with the class that no image has."""
        with torch.no_grad():
            fake = self.generator.decode(drawn.z, self._mixture(drawn).of(projected))
        return losses.new_class(self.discriminator(fake)[1])

    def _mixture(self, drawn: Hallucination):
        return mixture(self.gram, drawn.first, drawn.second, drawn.weight)

    def _project_classes(self) -> Tensor:
        if self._projected is None:
            self._projected = self.generator.project(self.text)
        return self._projected

    def _descend(self, terms: Terms, *names: str) -> None:
        """Take a step of the named optimisers along the gradient of the sum of the terms."""
        loss = sum(terms.values())
        assert isinstance(loss, Tensor)  # there is at least one term
        with torch.autocast(loss.device.type, enabled=False):  # types are those of the forward pass
            loss.backward()
        for name in names:
            if name in self.optimisers:
                self.optimisers[name].step()
                self.optimisers[name].zero_grad(set_to_none=True)

    def modules(self) -> dict[str, torch.nn.Module]:
        """Return the modules by name."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "parameters": self.parameters,
        }

    def state_dict(self) -> dict:
        """Return the state of modules and optimisers."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict) -> None:
        """Restore the state that :meth:`state_dict` returned."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self._projected = None

    def _parts(self) -> dict:
        return {**self.modules(), **{f"{k}_adam": v for k, v in self.optimisers.items()}}
