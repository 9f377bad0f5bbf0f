"""Training of a score model in a run folder."""
