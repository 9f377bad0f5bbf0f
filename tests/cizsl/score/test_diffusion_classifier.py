"""The diffusion classifier against Gaussian densities."""

import torch

from cizsl.closed_form.gaussian_classifier import Gaussian
from cizsl.evaluate import evaluate_without_samples
from cizsl.score.denoiser import Denoiser, gaussian_denoiser
from cizsl.score.diffusion_classifier import DiffusionClassifier
from cizsl.score.generator import signs
from cizsl.training.fit_baselines import measure
from tests.cizsl.closed_form.test_gaussian_classifier import task
from tests.cizsl.score.test_generator import SETTINGS, pair, rng


class Exact(Denoiser):
    """The denoiser of Gaussians with other means, as the class Gaussians with a correction."""

    shift = 0.4
    is_gaussian = property(lambda self: False)

    def correction(self, y, s, c):
        other = type(c)(c.mean + self.shift, c.variance, c.known)
        return gaussian_denoiser(y, s, other) - gaussian_denoiser(y, s, c)


def test_a_network_of_zeros_is_not_asked(monkeypatch):
    """Its answers would change nothing."""
    one = task()
    _, score, _ = pair()
    text = torch.cat([one.seen_text, one.unseen_text])
    ask = lambda: score.log_density(text, 10, rng())(one.unseen_features)  # noqa: E731
    assert score.denoiser.is_gaussian
    skipped = ask()
    monkeypatch.setattr(Denoiser, "is_gaussian", False)
    assert torch.equal(ask(), skipped)
    monkeypatch.undo()
    torch.nn.init.constant_(score.denoiser.network.leave.bias, 0.1)
    assert not score.denoiser.is_gaussian and not torch.equal(ask(), skipped)


def test_an_evaluation_asks_once_about_each_image(monkeypatch):
    """Images of unseen classes have two questions: among unseen classes, and among all."""
    one, asked, plain = task(), [], DiffusionClassifier.__call__
    monkeypatch.setattr(
        DiffusionClassifier, "__call__", lambda self, x: asked.append(len(x)) or plain(self, x)
    )
    evaluate_without_samples(pair()[1], one, rng(), generalised=True)
    assert sorted(asked) == sorted([len(one.unseen_features), len(one.seen_features)])


def test_without_correction_it_is_the_gaussian_classifier():
    one = task()
    _, score, _ = pair()
    found = evaluate_without_samples(score, one, rng(), generalised=True).scores()
    expected = measure(Gaussian(one), SETTINGS, one).scores()
    for name in ("ausuc", "seen", "unseen", "harmonic"):
        assert found[name] == expected[name]
    density = Gaussian(one).classes(**SETTINGS).log_density(one.unseen_features)
    top1 = (density[:, 10:].argmax(1) == one.unseen_labels).double().mean().item()
    assert found["top1"] == top1


def test_another_denoiser_gives_its_own_density():
    """Denoisers of N(m + d, V) beside N(m, V): the difference of the two log densities."""
    one = task()
    gaussian, _, _ = pair()
    text = torch.cat([one.seen_text, one.unseen_text])
    model = gaussian.classes(text)
    denoiser = Exact(model.mean.shape[1], 1.0, 8, 1)
    fine = {"levels": 400, "ends": (1e-2, 1e3), "shortlist": 14}
    found = DiffusionClassifier(denoiser, model, signs(model), 10, rng(), **fine)(
        one.unseen_features
    )
    other = model.reordered(torch.arange(14))
    other.mean = model.mean + Exact.shift * signs(model)
    expected = other.log_density(one.unseen_features)
    change = expected - model.log_density(one.unseen_features)
    assert change.std() > 1
    # float32 denoisers; 1e-4 of the integral lies outside the ends
    error = found - model.log_density(one.unseen_features) - change
    assert error.abs().max() < 2e-3 * change.abs().max()


def test_other_classes_than_the_likely_ones_have_no_score():
    one = task()
    gaussian, score, _ = pair()
    model = gaussian.classes(torch.cat([one.seen_text, one.unseen_text]))
    likely = DiffusionClassifier(score.denoiser, model, signs(model), 10, rng(), shortlist=2)
    found, density = likely(one.unseen_features), model.log_density(one.unseen_features)
    assert (found.isfinite().sum(1) == 4).all()
    for part in (slice(10), slice(10, 14)):
        assert torch.equal(found[:, part].argmax(1), density[:, part].argmax(1))
