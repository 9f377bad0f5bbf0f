"""Ten questions about the two halves of this repository, each answered by a program."""
