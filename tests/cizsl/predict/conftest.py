"""A working folder with articles and images."""

from tests.cizsl.prepare.conftest import place

__all__ = ["place"]
