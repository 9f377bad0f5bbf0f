"""Data sets: toy distributions and images in files."""
