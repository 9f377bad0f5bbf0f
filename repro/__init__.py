"""What both halves share: configuration, run folders, seeds, checkpoints, command lines."""
