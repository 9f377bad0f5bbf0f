"""The invented birds: their structure, and that words lead to looks, best among relatives."""

import numpy as np
import pytest
import scipy.io

from cizsl.data.birds import load_birds
from cizsl.prepare import toy_birds, toy_world
from cizsl.prepare.articles import read_articles
from cizsl.prepare.tfidf import tfidf
from repro.errors import InputError

FOLDERS = {"CUB": "CUB2011", "NAB": "NABird"}
SPLITS = ("easy", "hard")


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """The toys of seeds 0, 1 and 2."""
    folders = [tmp_path_factory.mktemp(f"seed{seed}") for seed in range(3)]
    for seed, folder in enumerate(folders):
        assert toy_birds.make_toy(folder, seed) == [folder / name for name in FOLDERS.values()]
    return folders


@pytest.fixture(scope="module")
def world():
    return toy_world.make_world(12, 5, np.random.default_rng(0))


def contents(root):
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}


def family_of_each_class(root, folder):
    names = read_articles(root / folder / "articles")
    return np.array([name.split("_")[1] for name in names])


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def learn_and_test(data, text_seen, text_unseen):
    """Top-1 on unseen classes of two closed-form learners: (ridge, k nearest neighbours).

    Ridge regression from text to class centroids: cosine to the predicted centroid. Neighbours:
    20 among 60 synthetic features a class, the predicted centroid plus residuals of seen images.
    """
    mean, variance = data.train_features.mean(), data.train_features.var()
    train = (data.train_features - mean) / variance
    test = (data.test_features - mean) / variance
    centroids = np.stack([train[data.train_labels == c].mean(0) for c in range(len(text_seen))])
    centre = centroids.mean(0)
    gram = text_seen @ text_seen.T + 0.3 * np.eye(len(text_seen))
    looks = unit(text_unseen @ text_seen.T @ np.linalg.solve(gram, centroids - centre))
    ridge = (unit(test - centre) @ looks.T).argmax(1)

    rng, unseen = np.random.default_rng(0), len(text_unseen)
    residuals = rng.choice(train - centroids[data.train_labels], (unseen, 60))
    length = np.linalg.norm(centroids - centre, axis=1).mean()
    bank = unit((centre + length * looks[:, None] + residuals).reshape(unseen * 60, -1))
    nearest = np.argsort(-unit(test) @ bank.T, axis=1)[:, :20] // 60
    knn = np.array([np.bincount(votes).argmax() for votes in nearest])
    return np.mean(ridge == data.test_labels), np.mean(knn == data.test_labels)


def test_same_seed_same_bytes_other_seed_others(roots, tmp_path):
    toy_birds.make_toy(tmp_path, seed=1)
    again, first, other = contents(tmp_path), contents(roots[1]), contents(roots[0])
    assert again == first
    features = "CUB2011/pfc_feat_train.mat"
    assert other[features] != first[features]


def test_sizes(roots):
    assert sum(len(data) for data in contents(roots[0]).values()) < 10e6
    for dataset, seen, unseen in (("CUB", 45, 15), ("NAB", 72, 18)):
        for split in SPLITS:
            data = load_birds(roots[0], dataset, split)
            assert data.toy
            assert data.seen_text.shape[0] == seen and data.unseen_text.shape[0] == unseen
            assert 400 <= data.seen_text.shape[1] <= 1500
            assert data.train_features.shape[1] == toy_world.FEATURE_DIM
            both = (data.train_labels, seen), (data.test_labels, unseen)
            for labels, classes in both:
                counts = np.bincount(labels, minlength=classes)
                assert len(counts) == classes and counts.min() >= 25 and counts.max() <= 30
                assert (np.diff(labels) >= 0).all() == (dataset == "CUB")


@pytest.mark.parametrize("dataset", FOLDERS)
def test_both_splits_hold_the_same_images(roots, dataset):
    images = []
    for split in SPLITS:
        data = load_birds(roots[0], dataset, split)
        ids = [data.seen_ids[data.train_labels], data.unseen_ids[data.test_labels]]
        features = np.concatenate([data.train_features, data.test_features])
        images.append(sorted(np.column_stack([np.concatenate(ids), features]).tolist()))
    assert images[0] == images[1]


@pytest.mark.parametrize("dataset", FOLDERS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_easy_unseen_have_seen_relatives_and_hard_ones_none(roots, seed, dataset):
    family = family_of_each_class(roots[seed], FOLDERS[dataset])
    for split in SPLITS:
        data = load_birds(roots[seed], dataset, split)
        every = np.concatenate([data.seen_ids, data.unseen_ids])
        assert sorted(every) == list(range(1, len(family) + 1))
        seen, unseen = set(family[data.seen_ids - 1]), set(family[data.unseen_ids - 1])
        assert unseen <= seen if split == "easy" else not unseen & seen


def test_species_share_most_traits_with_their_family_only(world):
    same = (world.traits[:, None] == world.traits).mean(2)
    relatives = (world.family[:, None] == world.family) & ~np.eye(60, dtype=bool)
    strangers = world.family[:, None] != world.family
    # two relatives agree where neither drew anew, and otherwise by chance, as strangers do
    both_kept, chance = (1 - toy_world.VARIATION) ** 2, 1 / toy_world.VALUES
    assert abs(same[relatives].mean() - (both_kept + (1 - both_kept) * chance)) < 0.05
    assert abs(same[strangers].mean() - chance) < 0.03


def test_articles_mention_the_traits_at_the_stated_rates(world):
    parts = list(toy_world.VISIBLE)
    told = right = 0
    for traits, article in zip(world.traits, world.articles.values(), strict=True):
        for part, options, value in zip(parts, toy_world.TRAITS, traits, strict=False):
            lines = [line for line in article.splitlines()[1:] if f" {part}" in line]
            told += bool(lines)
            right += bool(lines) and f" {options[value]}" in lines[0]
    assert abs(told / world.traits[:, : len(parts)].size - (1 - toy_world.OMITTED**2)) < 0.03
    assert abs(right / told - (1 - toy_world.WRONG * (1 - 1 / toy_world.VALUES))) < 0.03


def test_features_fit_the_published_normalisation_and_the_tanh(world):
    features = world.features
    assert features.dtype == np.float32 and features.min() == 0
    normalised = (features - features.mean()) / features.var()
    assert normalised.std() == pytest.approx(0.5, abs=1e-4)
    assert np.mean(np.abs(normalised) < 1) > 0.93


def test_hidden_traits_leave_the_images_alone(world):
    changed = world.traits.copy()
    changed[:, len(toy_world.VISIBLE) :] = 0
    first, labels = toy_world.draw_images(world.traits, np.random.default_rng(5))
    again, same_labels = toy_world.draw_images(changed, np.random.default_rng(5))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(labels, same_labels)


@pytest.mark.parametrize("dataset", FOLDERS)
def test_the_text_is_that_of_the_articles(roots, dataset):
    text, _ = tfidf(read_articles(roots[0] / FOLDERS[dataset] / "articles"))
    data = load_birds(roots[0], dataset, "hard")
    np.testing.assert_array_equal(text[data.unseen_ids - 1], data.unseen_text)
    np.testing.assert_array_equal(text[data.seen_ids - 1], data.seen_text)


@pytest.mark.parametrize("dataset", FOLDERS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learners_beat_chance_and_find_easy_easier(roots, seed, dataset):
    accuracy = {}
    for split in SPLITS:
        data = load_birds(roots[seed], dataset, split)
        accuracy[split] = learn_and_test(data, data.seen_text, data.unseen_text)
        shuffled = np.random.default_rng(seed).permutation(data.unseen_text)
        assert max(learn_and_test(data, data.seen_text, shuffled)) < 0.15
    chance = 1 / data.num_unseen
    for easy, hard in zip(accuracy["easy"], accuracy["hard"], strict=True):
        assert 0.35 < easy < 0.7
        assert 2.5 * chance < hard < 0.75 * easy


@pytest.mark.parametrize("folder", sorted(FOLDERS.values()))
def test_marked_as_invented(roots, folder):
    text = (roots[2] / folder / "TOY.md").read_text(encoding="utf-8")
    assert "NO BIRD IN THIS FOLDER EXISTS" in text and "seed 2" in text
    files = list((roots[2] / folder).glob("*.mat"))
    assert files
    for file in files:
        assert file.read_bytes().startswith(b"INVENTED BIRDS")
        assert scipy.io.loadmat(file)["__header__"].startswith(b"INVENTED BIRDS")


def test_replaces_a_toy_and_leaves_nothing_else(tmp_path):
    toy_birds.make_toy(tmp_path, seed=3)
    toy_birds.make_toy(tmp_path, seed=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == list(FOLDERS.values())
    assert "seed 4" in (tmp_path / "NABird" / "TOY.md").read_text(encoding="utf-8")


def real_features(folder):
    """A published file, laid over the toy's."""
    scipy.io.savemat(folder / "pfc_feat_train_hard.mat", {"pfc_feat": np.ones((2, 3))})


@pytest.mark.parametrize(
    ("foreign", "message"),
    [
        (lambda folder: (folder / "notes.txt").write_text("mine"), "notes.txt"),
        (real_features, "pfc_feat_train_hard.mat"),
        (lambda folder: (folder / "TOY.md").unlink(), "not written by the toy"),
    ],
)
def test_refuses_to_overwrite_what_is_no_toy(tmp_path, foreign, message):
    toy_birds.make_toy(tmp_path)
    foreign(tmp_path / "NABird")
    before = contents(tmp_path)
    with pytest.raises(InputError, match=message):
        toy_birds.make_toy(tmp_path, seed=1)
    assert contents(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == list(FOLDERS.values())


def test_refuses_bad_places_and_seeds(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write here"):
        toy_birds.make_toy(tmp_path / "file")
    (tmp_path / "CUB2011").touch()
    with pytest.raises(InputError, match="expected a folder"):
        toy_birds.make_toy(tmp_path)
    with pytest.raises(InputError, match="seed -1"):
        toy_birds.make_toy(tmp_path / "new", seed=-1)
    assert not (tmp_path / "new").exists()
