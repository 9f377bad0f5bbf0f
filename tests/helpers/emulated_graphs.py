"""CUDA graphs for machines that have no GPU: a replay calls the captured function again.

It reads the buffers and overwrites the terms where they are, as a graph does. What a graph does
not do, and this does: it runs the Python code at every replay.
"""

import contextlib
from unittest import mock


@contextlib.contextmanager
def emulated_graphs():
    """Within this context, :mod:`cizsl.training.graph` captures and replays without a GPU."""
    with (
        mock.patch("cizsl.training.graph.capture", capture),
        mock.patch("cizsl.training.graph.aside", lambda function: function()),
    ):
        yield


def capture(function):
    """What :func:`cizsl.training.graph.capture` does: nothing runs now, and every replay reads and
    writes the same places."""
    places = []

    def replay():
        terms = function()
        if not places:
            places.extend({name: value.clone() for name, value in step.items()} for step in terms)
        for old, new in zip(places, terms, strict=True):
            for name, value in new.items():
                old[name].copy_(value)

    return places, replay
