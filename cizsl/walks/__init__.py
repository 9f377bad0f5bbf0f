"""Random walks between class prototypes and samples (GRaWD): their losses, and the loss terms."""
