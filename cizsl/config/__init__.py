"""The configuration: its sections, the whole of it, and the candidates of a search."""

from cizsl.config.run import Baseline, BaselineEvaluation, CIZSLConfig

__all__ = ["Baseline", "BaselineEvaluation", "CIZSLConfig"]
