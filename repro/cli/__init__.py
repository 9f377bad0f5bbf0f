"""Shared parts of the two command lines."""
