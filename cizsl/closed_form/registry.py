"""Every classifier in closed form by its name."""

from cizsl.closed_form.baselines import ESZSL, Ridge
from cizsl.closed_form.gaussian_classifier import Gaussian

BASELINES = {"ridge": Ridge, "eszsl": ESZSL, "gaussian": Gaussian}
TITLES = {"ridge": "ridge regression", "eszsl": "ESZSL", "gaussian": "Gaussian classifier"}
