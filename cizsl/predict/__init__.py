"""Use of finished runs: names of classes for features and images."""
