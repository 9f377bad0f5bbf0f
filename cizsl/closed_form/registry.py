"""Every classifier in closed form, and the bilinear softmax, by its name."""

from cizsl.closed_form.baselines import ESZSL, Ridge
from cizsl.closed_form.bilinear import Bilinear
from cizsl.closed_form.gaussian_classifier import Gaussian

Classifier = Ridge | ESZSL | Bilinear | Gaussian
BASELINES: dict[str, type[Classifier]] = {
    "ridge": Ridge,
    "eszsl": ESZSL,
    "bilinear": Bilinear,
    "gaussian": Gaussian,
}
TITLES = {
    "ridge": "ridge regression",
    "eszsl": "ESZSL",
    "bilinear": "bilinear softmax",
    "gaussian": "Gaussian classifier",
}
