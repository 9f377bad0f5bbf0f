"""Every setting of an sde run."""
