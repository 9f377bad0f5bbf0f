"""Methods in closed form: class means predicted from texts, and a Gaussian for each class."""
