"""The command line ``sde``."""
