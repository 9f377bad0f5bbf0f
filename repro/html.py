"""An HTML page that needs nothing else: no script, no font, no request. Light or dark as the
reader's system is; on a phone each line of a table becomes a card."""

from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d9dee5; --ground: #fff;
  --tint: #f4f6f9; --warn-ink: #7a3b00; --warn: #fff1de; --warn-line: #e8a552;
  --c0: #0b6fa4; --c1: #c2540a; --c2: #24825a; --c3: #a2367f; --c4: #7d6200; --c5: #5a57c0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9f0; --soft: #9aa6b6; --line: #323b48;
  --ground: #12171e; --tint: #1a212b; --warn-ink: #ffcf96; --warn: #33240f; --warn-line: #a86f24;
  --c0: #57b4e6; --c1: #f0924e; --c2: #58c795; --c3: #e583c4; --c4: #d8b93e; --c5: #9c9af5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 76rem; background: var(--ground);
  color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.35rem; margin: 3rem 0 .75rem; padding-top: 1.25rem;
  border-top: 1px solid var(--line); }
h3, summary { font-size: 1rem; font-weight: 600; margin: 1.75rem 0 .5rem; }
summary { cursor: pointer; }
p { max-width: 46rem; margin: .5rem 0; }
.lead { font-size: 1.1rem; }
.soft, .notes { color: var(--soft); font-size: .9rem; }
a { color: inherit; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .875rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .6rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
thead th { font-weight: 600; color: var(--soft); white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
figure { margin: 0; break-inside: avoid; }
figcaption { font-weight: 600; }
svg { width: 100%; height: auto; display: block; }
code { font-size: .85em; overflow-wrap: anywhere; }
@media (max-width: 44rem) {
  body { padding: 1.25rem 1rem 3rem; }
  thead { display: none; }
  tr { display: grid; grid-template-columns: 1fr 1fr; gap: .1rem 1rem; padding: .6rem .75rem;
    margin-bottom: .75rem; border: 1px solid var(--line); border-radius: 6px; }
  td { border: 0; padding: .1rem 0; }
  td:empty { display: none; }
  td.number { text-align: left; white-space: normal; }
  td:first-child, td.wide { grid-column: 1 / -1; font-weight: 600; }
  td[data-label]:not(.wide)::before { content: attr(data-label); display: block;
    color: var(--soft); font-size: .75rem; font-style: normal; }
}
"""


def head(title: str, style: str = "") -> str:
    """The document up to the start of its body; ``style`` comes after the shared one."""
    return f"""<!DOCTYPE html>
<html lang="en-GB">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>{STYLE}{style}</style>
</head>
<body>"""


FOOT = "</body>\n</html>\n"
