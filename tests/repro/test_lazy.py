"""Lazy exports: nothing is imported before it is used."""

import subprocess
import sys

from tests.helpers.waiting import ENOUGH

INIT = """
from repro import lazy

__getattr__, __dir__, __all__ = lazy.exports(
    __name__, {"load": "half.model", "tools": "half.tools"}
)
"""
USE = """
import sys, half
assert not [m for m in sys.modules if m.startswith("half.")]
assert half.__all__ == ["load", "tools"] and {"load", "tools"} <= set(dir(half))
assert half.load() == 3 and vars(half)["load"] is half.load
assert "half.tools" not in sys.modules and half.tools.__name__ == "half.tools"
try:
    half.laod
except AttributeError as error:
    assert str(error) == "module 'half' has no attribute 'laod'; did you mean 'load'?", error
else:
    raise AssertionError
"""


def test_names_are_imported_when_they_are_used(tmp_path):
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "__init__.py").write_text(INIT)
    (tmp_path / "half" / "model.py").write_text("def load():\n    return 3\n")
    (tmp_path / "half" / "tools.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{USE}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=ENOUGH
    )
    assert done.returncode == 0, done.stderr
