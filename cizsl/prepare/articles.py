"""From a folder of articles to the text of a dataset in the published layout, or to a further text.

One UTF-8 file for each class, `<class name>.txt`, becomes one row of the TF-IDF matrix of
`cizsl.prepare.tfidf`, or of another description. All faults of the files are listed at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from cizsl.data.birds_layout import CLASSES, dataset_layout, dataset_of, read_lines
from cizsl.data.birds_write import write_lines, write_mat
from cizsl.data.matfile import mat_strings
from cizsl.data.names import clean, key
from cizsl.data.texts import write_text
from cizsl.prepare.class_names import class_list, in_order
from cizsl.prepare.tfidf import stem_tokens, tfidf
from repro.errors import InputError, InputErrors
from repro.files.regular_file import open_regular

Describe = Callable[[Mapping[str, str]], tuple[np.ndarray, list[str]]]


def read_articles(
    folder: str | Path, classes: Sequence[str] | None = None, encoding: str = "utf-8"
) -> dict[str, str]:
    """Return the article of each class, by class name.

    Args:
        folder: holds a file `<class name>.txt` for each class.
        classes: the classes in their order; other files are left out. Default: all files, in the
            order of their numbers and names.
        encoding: of the files.

    Raises `InputErrors`, one line for each fault: two files of one class, a class without a file, a
    file that is empty or cannot be decoded.
    """
    folder, by_key = Path(folder), {}
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one of <class name>.txt files")
    for name in in_order(path.stem for path in folder.glob("*.txt")):
        by_key.setdefault(key(name), []).append(folder / f"{name}.txt")
    if not by_key:
        raise InputError(f"{folder}: no article here; expected one <class name>.txt per class")
    articles, faults = {}, []
    for name in classes or [clean(paths[0].stem) for paths in by_key.values()]:
        paths = by_key.get(key(name), [])
        if len(paths) != 1:
            what = f"the files {', '.join(p.name for p in paths)}" if paths else "no article"
            faults.append(f"{folder}: {what} for the class {name}; expected one file")
            continue
        try:
            articles[name] = _read(paths[0], encoding)
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputErrors(faults)
    return articles


def _read(file: Path, encoding: str) -> str:
    try:
        with open_regular(file) as content:
            article = content.read().decode(encoding)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not {encoding.upper()} text (byte {error.start})") from None
    except LookupError:
        raise InputError(
            f"no encoding {encoding!r}; expected one of Python's, as latin-1"
        ) from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from None
    if not article.strip():
        raise InputError(f"{file}: the article is empty")
    return article


def read_vocabulary(path: Path) -> list[str]:
    """Return the terms of a MAT-file with `TFIDF_Term`, or the lines of a text file."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a list of terms")
    try:
        if path.suffix == ".mat":
            return mat_strings(path, "TFIDF_Term")
        return [line.strip() for line in read_lines(path) if line.strip()]
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def read_stop_words(name: str | None) -> set[str] | None:
    """Return the stems of the words in the file `name`; "none": none; None: the default list."""
    if name is None or name == "none":
        return None if name is None else set()
    if not Path(name).is_file():
        raise InputError(f"{name}: no such file; expected a list of words, or 'none'")
    try:
        return set(stem_tokens("\n".join(read_lines(Path(name)))))
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def make_text(
    source: Path,
    target: Path,
    describe: Describe = tfidf,
    *,
    classes: Path | None = None,
    encoding: str = "utf-8",
    overwrite: bool = False,
) -> tuple[np.ndarray, list[str]]:
    """Write the text of a dataset, or a file of a further text.

    Args:
        source: the folder of articles.
        target: the dataset's folder, whose name is that of the dataset, for text, term list and
            classes.txt; or a file .npz, for a text as `cizsl.data.texts` reads it.
        describe: maps articles by class name, C of them, to the text (C, V) and V terms.
        classes: a file of class names, see `cizsl.prepare.class_names.class_list`.
        encoding: of the articles.
        overwrite: replace files that are there.

    Returns the matrix (C, V) and the V terms.
    """
    is_file = target.suffix == ".npz"
    layout = dataset_layout(dataset_of(target))
    targets = [target] if is_file else [target / layout[role] for role in ("text", "terms")]
    if not overwrite and (there := [path for path in targets if path.exists()]):
        raise InputError(f"{there[0]}: is there already; --overwrite replaces it")
    articles = read_articles(source, class_list(target, classes), encoding)
    text, terms = describe(articles)
    if is_file:
        write_text(target, text, [*articles], terms)
        return text, terms
    write_mat(targets[0], {"PredicateMatrix": text})
    write_mat(targets[1], {"TFIDF_Term": np.array(terms)})
    write_lines(target / CLASSES, articles)
    return text, terms
