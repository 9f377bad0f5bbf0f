"""``cizsl table``: the tables of finished runs, printed and written to files."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from cizsl.report.captions import heading
from cizsl.report.compare import Comparison, compare, find
from cizsl.report.findings import meaning
from cizsl.report.grouping import Section, group, rows_by_name
from cizsl.report.html import page
from cizsl.report.markdown import comparison_report, report
from cizsl.report.runs import Run, collect
from cizsl.report.tables import every_score, overview
from repro.errors import InputError
from repro.files.atomic import write_atomically
from repro.pages.tables import csv_text, latex

FILES = ("html", "csv", "latex")  # the forms that --html, --csv and --latex write


def command(options) -> int:
    """Run ``cizsl table``; return the exit code."""
    files = {form: path for form in FILES if (path := getattr(options, form, None))}
    if options.by != "seed" and not options.compare:
        raise InputError("table: --by class needs --compare A B")
    return show(options.paths, files, options.compare, options.by)


def show(
    paths: Iterable[Path],
    files: dict[str, Path] | None = None,
    sides: tuple[str, str] | None = None,
    by: str = "seed",
) -> int:
    """Print the tables of runs, write them to files, and return the exit code.

    Args:
        paths: run folders, or folders of them.
        files: where to write the tables, by one of :data:`FILES`.
        sides: two methods to compare; where there are no paths, their runs are shown.
        by: what the comparison is paired by, "seed" or "class".
    """
    if not (paths := list(paths)) and not sides:
        raise InputError("table: expected run folders, folders of them, or --compare A B")
    runs = collect(paths) if paths else [run for side in sides or () for run in find(side, {})]
    sections, _ = group(runs)
    comparison = compare(*sides, rows_by_name(sections), by) if sides else None
    print(report(runs))
    if comparison:
        print(comparison_report(comparison))
    for form, path in (files or {}).items():
        _write(path, CONTENT[form](runs, sections, comparison))
        print(f"{'page' if form == 'html' else form}: {path}\n")
    print(meaning(sections))
    return 0


def _html(runs: list[Run], sections: list[Section], comparison: Comparison | None) -> str:
    return page(runs, comparison)


def _csv(runs: list[Run], sections: list[Section], comparison: Comparison | None) -> str:
    return csv_text([every_score(sections)])


def _latex(runs: list[Run], sections: list[Section], comparison: Comparison | None) -> str:
    tables = (overview(section).without_empty_columns() for section in sections)
    return "\n".join(
        latex(replace(table, title=f"{heading(section)}. {table.title}, in %."))
        for section, table in zip(sections, tables, strict=True)
    )


CONTENT: dict[str, Callable] = {"html": _html, "csv": _csv, "latex": _latex}


def _write(path: Path, text: str) -> None:
    content = text.encode()
    write_atomically(Path(path), lambda file: file.write(content))
