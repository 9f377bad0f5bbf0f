"""Creativity-inspired zero-shot learning of birds from Wikipedia text."""
