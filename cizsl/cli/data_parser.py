"""The options of the commands ``cizsl data ...``, which are in ``cizsl.cli.data``."""

from pathlib import Path
from typing import Any

from cizsl.cli import data, data_text
from cizsl.cli import data_options as options
from repro.cli import parser as parsing


def add_parsers(commands: Any) -> None:
    """Add every command and its options."""
    _look(commands)
    _download(commands)
    _toy(commands)
    data_text.add_parser(commands)
    _images(commands)
    _splits(commands)
    _convert(commands)
    _compact(commands)


def _look(commands: Any) -> None:
    for name, purpose, run in (
        ("verify", "list everything that is wrong with the data files of a folder", data.verify),
        ("inspect", "print the shapes, dtypes and class counts of data files", data.inspect),
        ("cells", "name the published datasets and splits that are in a folder", data.cells),
    ):
        command = options.command(commands, name, purpose, f"{name} data", run)
        options.add_folder(command, Path("data"), "folder of the data files")


def _download(commands: Any) -> None:
    purpose = "download the published files that a public repository lists, checked by git SHA-1"
    command = options.command(commands, "download", purpose, "download cub", data.download)
    command.add_argument("dataset", choices=("cub", "nab"), help="cub: all files; nab: not all")
    command.add_argument(
        "--root",
        type=parsing.path,
        default=Path("data"),
        metavar="DIR",
        help="folder that holds the datasets",
    )
    command.add_argument(
        "--mirror",
        metavar="URL",
        help="fetch URL/CUB2011/NAME and URL/NABird/NAME (default: the public repository)",
    )


def _toy(commands: Any) -> None:
    purpose = "write a small invented dataset"
    command = options.command(commands, "toy", purpose, "toy data/toy --seed 1", data.toy)
    options.add_folder(command, Path("data/toy"), "folder to write")
    options.add_seed(command, "seed of the invented numbers")
    command.add_argument(
        "--gbu",
        nargs="?",
        const="",
        metavar="SPLITS",
        help="write an attribute benchmark in place of birds; with a folder SPLITS, invented "
        "features for each of its files att_splits.mat",
    )


def _images(commands: Any) -> None:
    purpose = "compute visual features of a folder of images for each class"
    example = "images pictures --out data/mine --backbone timm:resnet50"
    command = options.command(commands, "images", purpose, example, data.images)
    command.add_argument(
        "source", type=parsing.path, metavar="DIR", help="folder with one folder for each class"
    )
    options.add_out(command)
    _add_network(command)
    options.add_preprocessing(command)
    options.add_layout(command)
    _add_extraction(command)
    parsing.add_device(command)


def _add_network(command: parsing.Parser) -> None:
    """Add the options that name the network and what it sees."""
    command.add_argument(
        "--backbone",
        required=True,
        metavar="NAME",
        help="network: efficientnet_lite0, a TorchScript or .pt2 file, package.module:callable, or "
        "timm:NAME",
    )
    command.add_argument(
        "--weights", type=parsing.path, metavar="FILE", help="state dict to load into the network"
    )
    command.add_argument(
        "--parts",
        type=parsing.path,
        metavar="FILE",
        help="part locations, as CUB's parts/part_locs.txt: features of squares around the parts",
    )


def _add_extraction(command: parsing.Parser) -> None:
    """Add the options of the computation."""
    command.add_argument(
        "--batch", type=parsing.positive, default=64, metavar="N", help="images of a batch"
    )
    command.add_argument(
        "--dtype", choices=("float32", "float16"), default="float32", help="precision of the files"
    )
    command.add_argument(
        "--workers",
        type=parsing.whole(1, 1024),
        default=4,
        metavar="N",
        help="threads that decode images",
    )
    command.add_argument(
        "--skip-bad", action="store_true", help="leave out files that cannot be read"
    )


def _splits(commands: Any) -> None:
    purpose = "choose which classes are seen and which are unseen"
    example = "splits data/mine --families last-word"
    command = options.command(commands, "splits", purpose, example, data.splits)
    command.description = (
        f"{command.description} In the easy split every unseen class has a seen class in its "
        "family; in the hard split whole families are unseen."
    )
    command.add_argument("folder", type=parsing.path, metavar="DIR", help="folder of the dataset")
    command.add_argument(
        "--families",
        metavar="FILE",
        help="CSV file with the columns class and family, or 'last-word' of each class's name",
    )
    command.add_argument(
        "--random",
        action="store_true",
        help="in place of --families: one split, 'random', whose unseen classes the seed draws",
    )
    command.add_argument(
        "--from",
        type=parsing.path,
        dest="file",
        metavar="FILE",
        help="in place of --families: CSV file with the column class, and for each split a column "
        "of 'seen', 'unseen' or nothing",
    )
    command.add_argument(
        "--unseen",
        type=parsing.number(0, 1),
        default=0.25,
        metavar="SHARE",
        help="share of the classes that are unseen",
    )
    options.add_seed(command, "seed of the choice")
    options.add_layout(command)
    command.add_argument(
        "--check",
        action="store_true",
        help="only describe the splits that are there, and write nothing",
    )
    options.add_classes(command)


def _convert(commands: Any) -> None:
    purpose = "convert a dataset's folder to one .npz file, or back"
    example = "convert data/CUB2011 data/cub.npz"
    command = options.command(commands, "convert", purpose, example, data.convert)
    command.add_argument(
        "source", type=parsing.path, metavar="FROM", help="folder of the dataset, or file NAME.npz"
    )
    command.add_argument(
        "target", type=options.dataset, metavar="TO", help="file NAME.npz, or folder NAME, to write"
    )
    options.add_overwrite(command)


def _compact(commands: Any) -> None:
    purpose = "make a small file of a dataset: principal components of its features, as bytes"
    example = "compact data/CUB2011 data/CUB-mine.npz"
    command = options.command(commands, "compact", purpose, example, data.compact)
    command.description = (
        f"{command.description} The components are fitted on images of seen classes only."
    )
    command.add_argument(
        "source", type=parsing.path, metavar="FROM", help="folder of the dataset, or file NAME.npz"
    )
    command.add_argument(
        "target", type=options.dataset, metavar="TO", help="file NAME.npz to write"
    )
    command.add_argument(
        "--components",
        type=parsing.whole(1, 4096),
        default=256,
        metavar="N",
        help="number of principal components",
    )
    command.add_argument(
        "--square-root",
        action="store_true",
        help="take square roots of the features and scale each image to length one first",
    )
    command.add_argument(
        "--articles",
        type=parsing.path,
        metavar="DIR",
        help="folder of the articles NAME.txt: adds the colours of parts of birds that they name",
    )
    options.add_overwrite(command)
