"""What an article says about the look of a bird: counts of colours, parts, and pairs of both.

An article of ten or a hundred sentences has a few that describe what can be seen. Word counts do
not tell whose colour a colour is: "black head and white belly" has the words of "white head and
black belly". So a sentence is read as pairs: a colour or marking belongs to the next part within
four words ("a bright yellow breast"), else to the last part within six words before it ("the breast
is yellow"). Words of one meaning are one word: crown and cap, grey and slaty. The features are the
numbers n(c, k) of pairs, colours and parts k in the article of class c, weighted as in
:mod:`cizsl.prepare.tfidf`, with logarithms of the counts:

    x(c, k) = (1 + ln n(c, k)) idf(k) / || (1 + ln n(c, .)) idf ||_2     where n(c, k) > 0

The word lists are short and for birds; the names of the features ("yellow breast") are terms like
those of any other text.
"""

import re
from collections import Counter
from collections.abc import Mapping

import numpy as np
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfTransformer

from repro.errors import InputError

AHEAD, BEFORE = 4, 6  # words between a colour and its part, at most
COLOURS = """
black blackish jet ebony inky / white whitish snowy / grey gray greyish grayish slate slaty ashy
sooty / brown brownish dun tawny / red reddish scarlet crimson vermilion ruby / yellow yellowish
golden gold lemon / blue bluish azure indigo turquoise / green greenish emerald / orange orangish /
rufous chestnut rusty cinnamon russet / buff buffy tan fawn sandy cream creamy ochre / olive
olivaceous / pink pinkish rosy / purple purplish violet / iridescent glossy metallic / dark dusky
darker / pale light paler lighter / streaked streaks streaking streak / spotted spots speckled spot
mottled / barred bars barring banded scaled
"""
PARTS = """
head heads / crown crowns cap / nape hindneck / crest crested tuft / face faces cheek cheeks lores
ear auriculars / eye eyes iris irises / eyering eyerings / bill bills beak beaks mandible / throat
throats chin gular / neck necks / breast breasts chest / belly bellies abdomen vent undertail /
underparts undersides below underside underneath / flanks flank sides / upperparts upperside above
back backs mantle / wing wings / wingbars wingbar / rump rumps / tail tails / legs leg feet foot /
plumage body / forehead foreheads / supercilium eyebrow eyestripe eyeline / mask bib collar
moustache / shoulders shoulder epaulets / primaries primary secondaries wingtips coverts
"""
JOINED = {"under parts": "underparts", "upper parts": "upperparts", "eye ring": "eyering"}
JOINED |= {"wing bars": "wingbars", "wing bar": "wingbar"}


def _first_words(groups: str) -> dict[str, str]:
    """Return the first word of its group for each word."""
    found = (group.split() for group in groups.split("/"))
    return {word: words[0] for words in found for word in words}


COLOUR, PART = _first_words(COLOURS), _first_words(PARTS)


def counts(article: str) -> Counter[str]:
    """Return how often each colour, part and pair, as "yellow breast", stands in an article.

    A pair lies within one line, as the sentences of the articles do.
    """
    found: Counter[str] = Counter()
    for line in article.lower().splitlines():
        words = _words(line)
        found.update(PART[word] for word in words if word in PART)
        for place, word in enumerate(words):
            if word in COLOUR:
                colour, part = COLOUR[word], _part_of(words, place)
                found.update([colour] if part is None else [colour, f"{colour} {part}"])
    return found


def visual_words(sentence: str) -> int:
    """Return how many colours, markings and parts a sentence names."""
    return sum(word in COLOUR or word in PART for word in _words(sentence.lower()))


def _words(line: str) -> list[str]:
    """Return words and the marks between them, each an element."""
    line = line.replace("-", " ")
    for apart, joined in JOINED.items():
        line = line.replace(apart, joined)
    return re.findall(r"[a-z]+|[,;.]", line)


def _part_of(words: list[str], place: int) -> str | None:
    """Return the part whose colour stands at ``place``, None where no part is near."""
    after = words[place + 1 : place + 1 + AHEAD]
    before = words[max(0, place - BEFORE) : place][::-1]
    return next((PART[word] for word in after + before if word in PART), None)


def appearance(articles: Mapping[str, str]) -> tuple[np.ndarray, list[str]]:
    """Return the features x(c, k) of the module's docstring, and their names.

    Args: ``articles``, class name to article, C of them; the rows keep their order.

    Returns (C, K) float32 and K names, sorted. The row of an article that names no colour and no
    part is zero. Raises `InputError` where no article names one.
    """
    vectorizer = DictVectorizer(dtype=np.float64)
    found = vectorizer.fit_transform([counts(article) for article in articles.values()])
    if not found.nnz:
        raise InputError(f"none of the {len(articles)} articles names a colour or a part of a bird")
    weighted = TfidfTransformer(sublinear_tf=True).fit_transform(found)
    return weighted.toarray().astype(np.float32), vectorizer.get_feature_names_out().tolist()
