"""Tables, curves and comparisons of finished runs."""
