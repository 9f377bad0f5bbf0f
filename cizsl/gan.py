"""The two training steps, and the state that they change.

An iteration is ``critic_steps`` critic steps and one generator step. The class texts are projected
once for all of them, since only the generator step changes the projection. Nothing without a
gradient is computed: no critic weight gradients in the generator step, no graph through the
generator in the critic steps. No step waits for the device.
"""

from functools import partial

import torch
from torch import Tensor

from cizsl import critic, losses
from cizsl.batches import CriticBatch, GeneratorBatch, Hallucination, WalkDraws
from cizsl.creativity import CreativityLoss
from cizsl.divergences import DivergenceParameters
from cizsl.hallucination import mixture
from cizsl.heads import Head, LinearHead
from cizsl.losses import Terms, Weights
from cizsl.networks import Discriminator, Generator, map_moments
from cizsl.walks.terms import Networks, WalkTerms
from repro import optimisers


class GAN:
    """Networks, optimisers and the two training steps.

    Args:
        generator, discriminator, parameters: the modules that are trained.
        features, labels: the training images (N, D) and their classes (N,).
        text, centroids: of each class, (C, V) and (C, D); all on one device.
        creativity: the loss on hallucinated samples; None for GAZSL, which has none.
        weights: of the loss terms.
        head: maps the discriminator's outputs to class logits; linear by default.
        detach_texts: whether the creativity loss leaves the classes' reduced texts alone.
        walks: the terms of random walks, where the creativity loss is on walks.
        max_grad_norm: the norm that the generator's gradient is clipped to; 0: not clipped.
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
        head: Head | None = None,
        detach_texts: bool = False,
        walks: WalkTerms | None = None,
        max_grad_norm: float = 0.0,
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
        self.head = head or LinearHead(len(text), 0, 0)
        self.detach_texts, self.walks, self.max_grad_norm = detach_texts, walks, max_grad_norm
        adam = {"lr": learning_rate, "fused": True, "capturable": features.is_cuda}
        self.optimisers = {
            "discriminator": torch.optim.Adam(discriminator.parameters(), betas=betas, **adam),
            "generator": torch.optim.Adam(generator.parameters(), betas=betas, **adam),
        }
        if parameters.raw.numel():
            self.optimisers["parameters"] = torch.optim.Adam(
                parameters.parameters(), betas=divergence_betas, **adam
            )
        compiled = torch.compile if compile else lambda function: function
        self.compiled_critic_terms = compiled(critic.critic_terms)
        self.compiled_generator_terms = compiled(self._generator_terms)
        self._mapped: tuple[Tensor, Tensor] | None = None

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
        labels, real = self.labels[batch.index], self.features[batch.index]
        projected, texts = (table.detach() for table in self._map_classes())
        with torch.no_grad():
            fake = self.generator.decode(batch.z, projected[labels])
        classify = partial(self.head.cross_entropy, texts_CR=texts)
        networks, weights = (self.discriminator, real, fake), self.weights.critic
        terms = self.compiled_critic_terms(*networks, labels, batch.weight, weights, classify)
        terms |= self._further_critic_terms(batch, projected, texts)
        self._update("discriminator")
        return {name: term.detach() for name, term in terms.items()}

    def generator_step(self, batch: GeneratorBatch) -> Terms:
        """Take one step of the generator and of the learned divergence parameters; return the
        terms, weighted and detached."""
        self.discriminator.requires_grad_(False)
        weights = self._generator_weights()
        terms = losses.weighted(self.compiled_generator_terms(batch), weights)
        self._backward(terms)
        terms |= losses.weighted(losses.penalise_weights(self.generator, weights), weights)
        if self.max_grad_norm:
            torch.nn.utils.clip_grad_norm_(self.generator.parameters(), self.max_grad_norm)
        self._update("generator", "parameters")
        self.discriminator.requires_grad_(True)
        self._mapped = None
        terms = {name: term.detach() for name, term in terms.items()}
        if self.walks is not None and batch.walks is not None and self.weights.creativity:
            landing = terms["creativity"] / self.weights.creativity
            terms["creativity_to_least"] = self.walks.to_least(landing, batch.walks, len(batch.z))
        return terms

    def _generator_terms(self, batch: GeneratorBatch) -> Terms:
        """Generate both kinds of samples in one pass, and evaluate the loss terms."""
        labels, dtype, drawn = self.labels[batch.index], self.features.dtype, batch.hallucination
        projected, texts = self._map_classes()
        rows, z = torch.nn.functional.embedding(labels, projected), batch.z
        if drawn is not None:
            rows = torch.cat([rows, self._mixture(drawn).of(projected)])
            z = torch.cat([z, drawn.z])
        fake = self.generator.decode(z, rows)
        values, outputs = self.discriminator(fake)
        size, values = len(labels), values.to(dtype)
        classify = partial(self.head.cross_entropy, texts_CR=texts)
        seen = fake[:size], values[:size], outputs[:size]
        terms = losses.generator_terms(
            *seen, labels, self.centroids, self.reference_compat, classify
        )
        if self.head.uses_text:
            terms["classification_real"] = classify(self._real_outputs(batch), labels)
        if drawn is not None:
            terms["hallucinated_adversarial"] = -values[size:].mean()
            if batch.walks is None:
                terms["creativity"] = self._of_posterior(drawn, outputs[size:], texts)
            else:
                terms |= self._generator_walks(batch.walks, projected, fake[size:])
        return terms

    def _of_posterior(self, drawn: Hallucination, outputs: Tensor, texts: Tensor) -> Tensor:
        """The creativity loss on the logits of hallucinated samples."""
        texts = texts.detach() if self.detach_texts else texts
        logits = self.head.logits(outputs, texts, self._own_texts(drawn, texts))
        return self._creativity_loss(logits.to(self.features.dtype))

    def _creativity_loss(self, logits: Tensor) -> Tensor:
        assert self.creativity is not None  # without it no batch hallucinates
        return self.creativity(logits, *self.parameters())

    def _generator_walks(self, draws: WalkDraws, projected: Tensor, new: Tensor) -> Terms:
        assert self.walks is not None  # without it no batch has draws
        networks = Networks(self.generator, self.discriminator, projected)
        return self.walks.generator(networks, draws, new, self._creativity_loss)

    def _generator_weights(self) -> dict[str, float]:
        ignored = self.creativity is not None and not self.creativity.weighted
        return self.weights.generator | ({"creativity": 1.0} if ignored else {})

    def _further_critic_terms(self, batch: CriticBatch, projected: Tensor, texts: Tensor) -> Terms:
        """Terms on hallucinated samples and walks, where there are any; add their gradients."""
        terms: Terms = {}
        if batch.hallucination is not None:
            terms["classify_new"] = self._classify_new(batch.hallucination, projected, texts)
        if batch.walks is not None:
            terms |= self._critic_walks(batch.walks, projected)
        if terms:
            self._backward(losses.weighted(terms, self.weights.critic))
        return terms

    def _classify_new(self, drawn: Hallucination, projected: Tensor, texts: Tensor) -> Tensor:
        """Cross-entropy of hallucinated samples with the class that no image has."""
        with torch.no_grad():
            fake = self.generator.decode(drawn.z, self._mixture(drawn).of(projected))
            own = self._own_texts(drawn, texts)
        return losses.new_class(self.head.logits(self.discriminator(fake)[1], texts, own))

    def _critic_walks(self, draws: WalkDraws, projected: Tensor) -> Terms:
        if self.walks is None or not self.walks.teach_critic:
            return {}
        networks = Networks(self.generator, self.discriminator, projected)
        return self.walks.critic(networks, draws, self.features, self.labels)

    def _real_outputs(self, batch: GeneratorBatch) -> Tensor:
        with torch.no_grad():  # neither images nor the discriminator learn here
            return self.discriminator(self.features[batch.index])[1]

    def _own_texts(self, drawn: Hallucination, texts: Tensor) -> Tensor | None:
        """Reduced texts (B, R) of hallucinated samples, where each is a class of its own."""
        if not (self.head.uses_text and self.creativity and self.creativity.extra_logits):
            return None
        bias = self.generator.reduce(torch.zeros_like(self.text[:1]))
        return self._mixture(drawn).of(texts - bias) + bias

    def _mixture(self, drawn: Hallucination):
        return mixture(self.gram, drawn.first, drawn.second, drawn.weight)

    def _map_classes(self) -> tuple[Tensor, Tensor]:
        """Texts of the classes, projected, and reduced where a classifier reads them (C, R): all
        steps of an iteration share them, since only the generator step changes the weights."""
        if self._mapped is None:
            reduced = self.generator.reduce(self.text) if self.head.uses_text else self.text
            self._mapped = self.generator.project(self.text), reduced
        return self._mapped

    def _backward(self, terms: Terms) -> None:
        """Add the gradients of the sum of the terms."""
        loss = sum(terms.values())
        assert isinstance(loss, Tensor)  # there is at least one term
        with torch.autocast(loss.device.type, enabled=False):  # types are those of the forward pass
            loss.backward()

    def _update(self, *names: str) -> None:
        """Take one step of each named optimiser that there is."""
        for name in self.optimisers.keys() & names:
            self.optimisers[name].step()
            self.optimisers[name].zero_grad(set_to_none=True)

    def drop_partial_iteration(self) -> None:
        """Drop what an iteration that failed has left: gradients and projected texts."""
        self._mapped = None
        self.discriminator.requires_grad_(True)
        for optimiser in self.optimisers.values():
            optimiser.zero_grad(set_to_none=True)

    def modules(self) -> dict[str, torch.nn.Module]:
        """Return the modules by name."""
        names = "generator", "discriminator", "parameters"
        return {name: getattr(self, name) for name in names}

    def state_dict(self) -> dict:
        """Return the state of modules and optimisers."""
        state = {name: module.state_dict() for name, module in self.modules().items()}
        for name, optimiser in self.optimisers.items():
            moments = map_moments(self.modules()[name], optimiser.state_dict(), trim=True)
            state[f"{name}_adam"] = moments
        return state

    def load_state_dict(self, state: dict) -> None:
        """Restore the state that :meth:`state_dict` returned."""
        for name, part in self.modules().items():
            part.load_state_dict(state[name])
        for name, optimiser in self.optimisers.items():
            moments = map_moments(self.modules()[name], state[f"{name}_adam"], trim=False)
            optimisers.restore(optimiser, moments)
        self._mapped = None
