"""``cizsl table``: the tables of finished runs, printed and written."""

from collections.abc import Iterable
from pathlib import Path

from cizsl.report.captions import meaning
from cizsl.report.compare import compare, find
from cizsl.report.html import page
from cizsl.report.markdown import compared, named, table
from cizsl.report.runs import collect
from repro.checkpoint import write_atomically
from repro.errors import InputError


def run_table(
    paths: Iterable[Path],
    html_path: Path | None = None,
    sides: tuple[str, str] | None = None,
) -> int:
    """Print the tables of the runs at ``paths`` and compare two ``sides``, whose runs are shown
    where there are no paths; write the page, if asked to. The exit code."""
    if not (paths := list(paths)) and not sides:
        raise InputError("table: expected run folders, folders of them, or --compare A B")
    runs = collect(paths) if paths else [run for side in sides for run in find(side, {})]
    comparison = compare(*sides, named(runs)) if sides else None
    print(table(runs))
    if comparison:
        print(compared(comparison))
    if html_path is not None:
        content = page(runs, comparison).encode()
        try:
            write_atomically(Path(html_path), lambda file: file.write(content))
        except OSError as error:
            raise InputError(f"{html_path}: cannot be written: {error.strerror}") from None
        print(f"page: {html_path}\n")
    print(meaning(runs))
    return 0
