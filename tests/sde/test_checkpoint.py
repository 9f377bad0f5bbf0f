"""Published checkpoints: read, or refused with one line that says what is wrong."""

import zipfile

import pytest
import torch

from repro.errors import InputError
from sde.checkpoint import load_official, read_official
from sde.networks.published import FROZEN, published_tensors
from tests.sde.published_checkpoints import network_like, official, output


def test_both_sets_of_weights_are_read(published_folder):
    raw, average = network_like(1), network_like(2)
    with torch.no_grad():  # the frozen frequencies are not averaged: those of the model count
        average.condition.waves.frequencies.copy_(raw.condition.waves.frequencies)
    network = network_like(3)
    assert torch.equal(output(load_official("checkpoint_5.pth", network)), output(average))
    assert torch.equal(output(load_official("checkpoint_5.pth", network, raw=True)), output(raw))
    found = read_official("checkpoint_5.pth")
    assert (found.step, found.updates) == (7, 7)


def test_numpy_1_names_are_admitted_and_no_other_stays_so(published_folder):
    """Files of 2021 name NumPy's scalar otherwise; torch 2.4 writes and reads it alike."""
    old, new = b"cnumpy.core.multiarray\nscalar\n", b"cnumpy._core.multiarray\nscalar\n"
    with zipfile.ZipFile("checkpoint_5.pth") as source, zipfile.ZipFile("old.pth", "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("data.pkl"):
                assert new in content
                content = content.replace(new, old)
            target.writestr(name, content)
    before = torch.serialization.get_safe_globals()
    network = load_official("old.pth", network_like(3), raw=True)
    assert torch.equal(output(network), output(network_like(1)))
    assert set(torch.serialization.get_safe_globals()) == set(before)
    with pytest.raises(Exception, match="scalar"):
        torch.load("old.pth", weights_only=True)


class Harmful:
    def __reduce__(self):
        return (print, ("this would be run",))


def without(name):
    return lambda model: {key: value for key, value in model.items() if key != name}


BROKEN = {
    "code": (dict(step=Harmful()), "not a whole checkpoint .*GLOBAL .*print was not"),
    "no average": (dict(ema=None), "model should be a state dict"),
    "no list": (dict(ema={"shadow_params": 3, "num_updates": 1}), "ema.shadow_params a list"),
    "no count": (dict(step="7"), "step and ema.num_updates counts"),
    "missing": (
        dict(model=without("module.all_modules.3.bias")),
        "1 missing: all_modules.3.bias$",
    ),
    "extra": (
        dict(model=lambda m: m | {"module.head.weight": torch.ones(2)}),
        "1 not expected: head.weight$",
    ),
    "shape": (
        dict(model=lambda m: m | {"module.all_modules.3.bias": torch.ones(2)}),
        r"1 of another shape: all_modules.3.bias \(2,\) in place of \(8,\)$",
    ),
    "short": (
        dict(ema=lambda e: e | {"shadow_params": e["shadow_params"][:-1]}),
        "155 averaged weights, 156 expected",
    ),
    "swapped": (
        dict(ema=lambda e: e | {"shadow_params": e["shadow_params"][::-1]}),
        "averaged: weights of another architecture .* of another shape",
    ),
    "not finite": (
        dict(model=lambda m: m | {"module.all_modules.0.W": torch.full((8,), torch.nan)}),
        "not finite: all_modules.0.W",
    ),
}


@pytest.mark.parametrize("change, message", BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_with_a_checkpoint_is_said(published_folder, change, message):
    """And the network is left as it was."""
    path = official("broken.pth", network_like(1), network_like(2), **change)
    network = network_like(3)
    before = output(network)
    with pytest.raises(InputError, match=message) as caught:
        load_official(path, network)
    assert str(caught.value).startswith("broken.pth") and "\n" not in str(caught.value)
    assert torch.equal(output(network), before)


def test_another_architecture_is_named_by_its_first_differences(published_folder):
    with pytest.raises(InputError) as caught:
        load_official("checkpoint_5.pth", network_like(3, blocks=2))
    assert "missing: all_modules" in str(caught.value) and str(caught.value).count("...") >= 2
    assert len(str(caught.value)) < 600


def test_noise_levels_of_a_discrete_network_must_agree(published_folder):
    levels = torch.linspace(50, 0.01, 1000, dtype=torch.float64)
    how = dict(embedding="positional", sigmas=levels)
    official("discrete.pth", network_like(1, **how), network_like(2, **how))
    load_official("discrete.pth", network_like(3, **how))
    with pytest.raises(InputError, match="noise levels"):
        load_official("discrete.pth", network_like(3, **how | {"sigmas": 2 * levels}))


def test_unconditional_networks_have_no_use_for_the_frequencies(published_folder):
    how, frozen = dict(conditional=False), {f"module.{FROZEN}": torch.ones(8)}
    pair = network_like(1, **how), network_like(2, **how)
    assert next(iter(published_tensors(pair[0]))) == "all_modules.1.weight"
    official("blind.pth", *pair, model=lambda m: m | frozen)
    assert torch.equal(output(load_official("blind.pth", network_like(3, **how))), output(pair[1]))


def weighted_parts(**how):
    """The numbers of the parts that have weights, of a network of two stages of one block each."""
    network = network_like(1, embedding="positional", scale_by_sigma=False, **how)
    return {int(name.split(".")[1]) for name in published_tensors(network)}


@pytest.mark.parametrize("output", ["none", "output_skip"])
def test_resampling_without_weights_takes_a_number(output):
    """Counted by hand from the order in which the published code makes its parts:

    0-1 embedding, 2 entry, 3 block, 4 down, 5 block, 6-8 middle, 9-10 blocks, 11 up, 12-13 blocks,
    14-15 exit; with output_skip 11-12 image, 13 up, 14-15 blocks, 16-17 image.
    """
    how = dict(block="ddpm", attention=[], progressive_input="none", fir=False)
    plain = weighted_parts(**how, progressive_output=output, resample_with_conv=False)
    learned = weighted_parts(**how, progressive_output=output)
    last, up = (17, 13) if output == "output_skip" else (15, 11)
    assert learned == set(range(last + 1))
    assert plain == learned - {4, up}


def test_an_unconditional_network_of_the_published_code_has_weights_that_it_never_uses(
    published_folder,
):
    """Linear layers of its blocks, from the embedding of 4 x 8 numbers, also in the averages."""
    pair = network_like(1, conditional=False), network_like(2, conditional=False)

    def with_shifts(names):
        found = []
        for name in names:
            found.append(name)
            if name.endswith("Conv_0.bias") and name.replace("Conv_0", "Conv_1") in names:
                found += [name.replace("Conv_0.bias", f"Dense_0.{kind}") for kind in KINDS]
        return found

    KINDS = ("weight", "bias")
    own = [published_tensors(network) for network in pair]
    names = with_shifts(list(own[0]))
    assert len(names) - len(own[0]) == 2 * 10  # seven blocks, and three that resample or join

    def whole(tensors):
        return {n: tensors[n].detach() if n in tensors else torch.ones(8, 32) for n in names}

    official(
        "blind.pth",
        *pair,
        model={f"module.{n}": t for n, t in ({FROZEN: torch.ones(8)} | whole(own[0])).items()},
        ema=lambda ema: ema | {"shadow_params": list(whole(own[1]).values())},
    )
    for raw, network in zip((True, False), pair, strict=True):
        loaded = load_official("blind.pth", network_like(3, conditional=False), raw=raw)
        assert torch.equal(output(loaded), output(network))
