"""The command line ``cizsl``."""
