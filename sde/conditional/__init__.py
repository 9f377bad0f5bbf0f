"""Sampling under a condition, with a score trained without it."""
