"""Sweeps: many runs, here or on a cluster."""
