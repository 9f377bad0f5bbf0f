"""Training and evaluating in a run folder."""
