"""Evaluating a trained model: distances, likelihood, FID, page, table."""
