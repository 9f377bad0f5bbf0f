"""HTML pages from jinja2 templates, escaped by construction.

Every value that a template prints is escaped; no page can forget it. A page extends `base.html`,
which forbids scripts and every request by its Content-Security-Policy, follows the reader's light
or dark setting, and turns the lines of a table into cards on a phone. A page has three blocks:
`meta`, `style` and `body`.
"""

from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def render(package: str, template: str, **values: object) -> str:
    """Return the HTML that ``template`` gives with ``values``.

    Args:
        package: the package whose folder `templates` holds the template, such as "cizsl.report";
            templates of `repro.pages` are found besides.
        template: the file name, such as "page.html".
        values: the variables of the template. One that it uses and that is missing raises
            ``jinja2.UndefinedError``.
    """
    return _environment(package).get_template(template).render(**values)


@cache
def _environment(package: str) -> Environment:
    folders = [PackageLoader(name) for name in dict.fromkeys((package, "repro.pages"))]
    return Environment(
        loader=ChoiceLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
