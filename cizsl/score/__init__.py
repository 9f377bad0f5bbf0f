"""A score-based generator of visual features: where cizsl uses sde, and nowhere else."""
