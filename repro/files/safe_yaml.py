"""YAML of bounded size: a hostile or mistaken file costs milliseconds, and one line.

The limits are far above any configuration: 100,000 characters, 10,000 values where every alias
counts with all that it stands for, and 30 levels.
"""

import re
from typing import Any

import yaml

from repro.wording import one_line

CHARACTERS = 100_000
SCALAR = 10_000  # characters of one value
VALUES = 10_000
LEVELS = 30


class NotYaml(ValueError):
    """Text that is not YAML, or more than the limits allow; the message is one short line."""


class _Loader(yaml.SafeLoader):
    """Safe YAML in which 1e-4 is a number (YAML 1.1 asks for 1.0e-4) and keys may not repeat.

    The limits hold while the text is read, since the time for deep YAML grows with its square.
    """

    nodes = levels = 0

    def compose_node(self, parent, index):
        self.nodes += 1
        if self.nodes > VALUES:
            raise NotYaml(f"more than {VALUES} values")
        self.levels += 1
        if self.levels > LEVELS + 1:
            raise NotYaml(f"more than {LEVELS} levels")
        node = super().compose_node(parent, index)
        self.levels -= 1
        return node

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value[:60]!r} stands here twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def parse(text: str) -> Any:
    """Return the value of a YAML document. Raises :class:`NotYaml` for anything else."""
    if len(text) > CHARACTERS:
        raise NotYaml(f"{len(text)} characters, expected at most {CHARACTERS}")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _count(node, {}, LEVELS)
        return loader.construct_document(node)
    except NotYaml:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise NotYaml(f"{str(error.problem)[:150]}{place}") from None
    except RecursionError:
        raise NotYaml(f"more than {LEVELS} levels") from None
    except yaml.YAMLError as error:
        raise NotYaml(" ".join(str(error).split())[:150]) from None
    except Exception as error:  # PyYAML passes on what int, float, date and bool raise
        raise NotYaml(f"a value that YAML does not allow: {one_line(error)[:150]}") from None


def _count(node: yaml.Node, known: dict[int, int | None], levels: int) -> int:
    """The number of values below a node. ``known`` has it by node, None for one above this."""
    if id(node) in known:
        if (count := known[id(node)]) is None:
            raise NotYaml(f"an alias of what contains it{_line(node)}")
        return count
    if isinstance(node, yaml.ScalarNode):
        if len(node.value) > SCALAR:
            raise NotYaml(f"a value of {len(node.value)} characters{_line(node)}")
        return 1
    if not levels:
        raise NotYaml(f"more than {LEVELS} levels{_line(node)}")
    known[id(node)] = None
    below = node.value
    if isinstance(node, yaml.MappingNode):
        below = [part for pair in node.value for part in pair]
    count = 1 + sum(_count(part, known, levels - 1) for part in below)
    if count > VALUES:
        raise NotYaml(f"more than {VALUES} values{_line(node)}")
    known[id(node)] = count
    return count


def _line(node: yaml.Node) -> str:
    return f" (line {node.start_mark.line + 1}, column {node.start_mark.column + 1})"
