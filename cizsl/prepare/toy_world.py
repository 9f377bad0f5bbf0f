"""An invented world of birds: traits, articles that tell of them, images that show them.

A family of birds has typical traits, a species changes a few of them, and all else follows:

    traits -> article           some traits are left out, some are told wrongly, and many words are
                                of no use: food, song, places, people
    traits -> image features    an image hides some of the traits; code = onehot(the shown ones),
                                look    = tanh(1.5 code A) B
                                feature = max(0, look + what no text tells + noise)

So the task is the real one: learn from the seen species how words go with looks, then recognise
unseen species from their articles. In the easy split every unseen species has seen relatives, which
share most of its traits and its family's name; in the hard split whole families are unseen. Both
splits hold the same images and texts: easy is easier for this reason only.

The features are scaled to variance `VARIANCE` = 4. The published normalisation, x -> (x - mean) /
variance with one mean and one variance for all features, leaves them the standard deviation
2 / 4 = 1/2, and 94 % of the values within (-1, 1), the range of the tanh at the end of the
generator. With variance 1 it would be 84 %.
"""

from dataclasses import dataclass

import numpy as np

UNSEEN_FAMILIES = 3  # of the hard split; the easy one leaves out as many species
FEATURE_DIM = 128
VARIANCE = 4.0
VARIATION = 0.3  # how often a species draws a trait anew instead of taking its family's
OMITTED, WRONG = 0.3, 0.05  # how often a sentence is left out, and a trait told at random
CONCEALED = 0.4  # how often an image hides a trait
UNTOLD, NOISE = 0.35, 0.4  # std of what no text tells of a species, and of an image's noise

VALUES = 5  # of each trait
VISIBLE = {  # what an image can show
    "crown": "black white chestnut crimson golden",
    "back": "olive slate rufous sandy black",
    "breast": "white buff scarlet spotted streaked",
    "throat": "orange violet cream bearded black",
    "wing": "barred rounded pointed azure green",
    "rump": "white copper mottled indigo yellow",
    "beak": "hooked conical slender curved serrated",
    "tail": "forked square fanned notched stubby",
    "leg": "yellow coral scaly feathered grey",
    "eye": "ruby pale ringed brown masked",
}
PHRASES = (
    "The {part} is {value}.",
    "Note the {value} {part}.",
    "Both sexes share the {value} {part}.",
    "The {value} {part} sets it apart from most of its neighbours.",
)
HIDDEN = {  # what no image shows
    "It breeds in {}.": "marshes heaths pinewoods orchards reedbeds",
    "It feeds on {}.": "seeds beetles fish nectar berries",
    "The nest is a {}.": "burrow cup scrape platform mound",
    "The song is a {}.": "whistle trill croak rattle purr",
}
TRAITS = [values.split() for values in (*VISIBLE.values(), *HIDDEN.values())]
FILLERS = (
    "It was first described by Doctor {}.",
    "Its range reaches from the coast to {}.",
    "A flock once stayed near {} for a whole winter.",
    "The chicks leave after three weeks, except around {}.",
    "Numbers have fallen since the woods of {} were cut.",
    "Old tales of {} say that it calls before rain.",
)
SYLLABLES = "bar cor dun fel gar hul kin lor mar nis pol quil ras sten tor ulk vel wim yar zed"


@dataclass(frozen=True, eq=False)
class ToyWorld:
    """C invented species in F families. Each field follows from those above it.

    families: F names. family: (C,) the family of each species, in [0, F).
    traits: (C, T) the value, in [0, VALUES), of each of the T entries of `TRAITS`.
    articles: species name to article, in the order of the classes.
    features: (N, FEATURE_DIM) float32, none negative; labels: (N,) the class of each of N images.
    """

    families: list[str]
    family: np.ndarray
    traits: np.ndarray
    articles: dict[str, str]
    features: np.ndarray
    labels: np.ndarray


def make_world(families: int, species: int, rng: np.random.Generator) -> ToyWorld:
    """Return a world of `families` families with `species` species each."""
    family = np.repeat(np.arange(families), species)
    typical = rng.integers(0, VALUES, (families, len(TRAITS)))[family]
    drawn_anew = rng.random(typical.shape) < VARIATION
    traits = np.where(drawn_anew, rng.integers(0, VALUES, typical.shape), typical)
    names = invent_words(families + len(family), rng)
    articles = {}
    for c, (own, f) in enumerate(zip(names[families:], family, strict=True)):
        article = write_article(own, names[f], traits[c], rng)
        articles[f"{c + 1:03d}.{own}_{names[f]}"] = article
    return ToyWorld(names[:families], family, traits, articles, *draw_images(traits, rng))


def invent_words(count: int, rng: np.random.Generator) -> list[str]:
    """Return `count` different words of two or three syllables, such as "Velkin"."""
    words: dict[str, None] = {}
    while len(words) < count:
        words["".join(rng.choice(SYLLABLES.split(), rng.integers(2, 4))).capitalize()] = None
    return list(words)


def write_article(own: str, family: str, traits: np.ndarray, rng: np.random.Generator) -> str:
    """Return the article of the species `own family` with `traits` (T,), one sentence a line.

    A trait is replaced by a random one with probability `WRONG`. A visible trait has two sentences.
    Every sentence but the first of the article is left out with probability `OMITTED`.
    """
    told = np.where(rng.random(len(traits)) < WRONG, rng.integers(0, VALUES, len(traits)), traits)
    values = [options[t] for options, t in zip(TRAITS, told, strict=True)]
    visible, hidden = values[: len(VISIBLE)], values[len(VISIBLE) :]
    sentences = [
        rng.choice(PHRASES).format(part=part, value=value)
        for part, value in [*zip(VISIBLE, visible, strict=True)] * 2
    ]
    sentences += [phrase.format(value) for phrase, value in zip(HIDDEN, hidden, strict=True)]
    sentences += [phrase.format(invent_words(1, rng)[0]) for phrase in FILLERS]
    kept = [sentence for sentence in sentences if rng.random() >= OMITTED]
    return "\n".join([f"The {own} {family} is a bird of the {family.lower()} family.", *kept, ""])


def draw_images(traits: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw 25 to 30 images of each species with traits (C, T).

    Which traits an image hides changes all its features at once: this is the correlated part of the
    variation within a class. `NOISE` is the uncorrelated part.

    Returns features (N, FEATURE_DIM) float32 and labels (N,), sorted.
    """
    species, parts, units = len(traits), len(VISIBLE), 64
    labels = np.repeat(np.arange(species), rng.integers(25, 31, species))
    shown = rng.random((len(labels), parts, 1)) >= CONCEALED
    code = (np.eye(VALUES)[traits[labels, :parts]] * shown).reshape(len(labels), VALUES * parts)
    a = rng.normal(size=(VALUES * parts, units)) / np.sqrt(parts)
    b = rng.normal(size=(units, FEATURE_DIM)) / np.sqrt(units)
    untold = UNTOLD * rng.normal(size=(species, FEATURE_DIM))
    look = np.tanh(1.5 * code @ a) @ b + untold[labels]
    features = np.maximum(look + NOISE * rng.normal(size=look.shape), 0)
    return (features * np.sqrt(VARIANCE / features.var())).astype(np.float32), labels


def unseen_classes(family: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the unseen classes of each split as a mask (C,), as many in both.

    hard: all species of `UNSEEN_FAMILIES` families. easy: species of all families in turn.

    Args:
        family: (C,) the family of each species.
        rng: where the choice comes from.
    """
    hard = np.isin(family, rng.permutation(family.max() + 1)[:UNSEEN_FAMILIES])
    order = rng.permutation(len(family))
    turn = np.array([(family[order[:i]] == family[c]).sum() for i, c in enumerate(order)])
    easy = np.isin(np.arange(len(family)), order[np.argsort(turn, kind="stable")[: hard.sum()]])
    return {"easy": easy, "hard": hard}
