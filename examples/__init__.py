"""Ten questions, each answered by a program with a figure, and two notebooks."""
