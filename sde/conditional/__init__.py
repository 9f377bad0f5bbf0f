"""Conditional sampling with an unconditional score model."""
