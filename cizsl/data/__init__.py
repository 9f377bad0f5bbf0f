"""Reading, checking and writing datasets on disk."""

from repro import lazy

__getattr__, __dir__, __all__ = lazy.exports(
    __name__,
    {
        "Dataset": "cizsl.data.npz",
        "Split": "cizsl.data.npz",
        "ZSLData": "cizsl.data.dataset",
        "load": "cizsl.data.layouts",
        "load_birds": "cizsl.data.birds",
        "load_compact": "cizsl.data.compact_features",
        "load_gbu": "cizsl.data.gbu",
        "load_npz": "cizsl.data.npz",
        "normalise": "cizsl.data.normalise",
        "read_npz": "cizsl.data.npz",
        "verify": "cizsl.data.verify",
        "write_npz": "cizsl.data.npz",
    },
)
