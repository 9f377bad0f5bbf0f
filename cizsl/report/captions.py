"""The captions of a section: what a reader must know before reading its numbers."""

from cizsl.report.grouping import Section
from cizsl.report.published_numbers import FEATURE_DIM, GAIN_BY_TEST_CLASSES

KIND_TITLES = {
    "published": "Data of the published size",
    "other": "NOT THE PUBLISHED DATA",
    "compact": "CUB, COMPACT FEATURES",
    "own": "DATA OF YOUR OWN",
    "toy": "TOY DATA",
}
PROTOCOL = {
    "reference": "Best on test: the best top-1 and the best AUSUC, each on its own, among all "
    "evaluations on the test classes. Per-class top-1 and retrieval belong to the evaluation with "
    "the best top-1; seen, unseen and H to the one with the best AUSUC. The test classes chose "
    "these numbers, so they are optimistic.",
    "strict": "Selected: some of the seen classes served as validation classes. They decided how "
    "long to train (for a baseline: its penalties). Then one training on all seen classes was "
    "evaluated on the test classes, once. Seen accuracy is measured on held-out images.",
}
PUBLISHED = {
    "reference": f"The published numbers were chosen on the test classes too. "
    f"{GAIN_BY_TEST_CLASSES}",
    "strict": "The published numbers are not shown here: they were chosen on the test classes and "
    "measure seen accuracy on training images, so they are not comparable.",
}
KIND = {
    "published": f"These data have the published size, {FEATURE_DIM} features. That does not prove "
    "that they are the published files: the checksums of features and text are unknown.",
    "other": "These are not the published visual features: their number is not "
    f"{FEATURE_DIM} (see the column Features), or the labels or class splits differ, or the files "
    "were converted. The classes may be real, but no number here can be compared with a published "
    "one.",
    "compact": "CUB, compact features: real birds, not the published features. The photographs, "
    "texts and splits are those of CUB, but another network saw the photographs. No published "
    "number is comparable with these.",
    "own": "Neither CUB nor NAB. No published number is comparable with these.",
    "toy": "TOY DATA: invented birds. CUB and NAB only name the file layout. No number here says "
    "anything about real birds or compares with a published number.",
}
GBU_PROTOCOL = {
    "reference": "Best on test: the best T1 and the best H, each on its own, among all evaluations "
    "on the test classes; u and s belong to the evaluation with the best H. The test classes chose "
    "these numbers, so they are optimistic.",
    "strict": "Selected: validation classes, those of the split file where it has some, decided "
    "how long to train (for a baseline: its penalties). Then one training on all seen classes was "
    "evaluated on the test classes, once.",
}
GBU_PUBLISHED = {
    "reference": "The published numbers were chosen on the test classes too.",
    "strict": "The published numbers are not shown here: they were chosen on the test classes.",
}
GBU_KIND = {
    "published": "These data have 2048 features, and a split file that is the published one as far "
    "as its checksum is known (it is for three datasets). That does not prove that they are the "
    "published files.",
    "other": "The number of features is not 2048 (see the column Features), or the split file is "
    "another. No number here can be compared with a published one.",
    "own": "None of the published datasets. No published number is comparable with these.",
    "toy": "TOY DATA: invented features. At most the attributes are those of the dataset that the "
    "name says. No number here says anything about real images or compares with a published one.",
}
ATTRIBUTES = (
    "T1 is zero-shot accuracy: only unseen classes may be answered. u, s and H are generalised: "
    "all classes may be answered."
)
SPREAD = "All numbers are in %: the mean over seeds, ± the standard deviation for two or more."


def heading(section: Section) -> str:
    """Return the title of a section: kind of data and protocol."""
    what = ", attributes (GBU)" if section.benchmark_name == "gbu" else ""
    return f"{KIND_TITLES[section.kind]}: {section.protocol} protocol{what}"


def captions(section: Section) -> list[str]:
    """Return what to know of the data, of the protocol, and of the numbers' form."""
    gbu = section.benchmark_name == "gbu"
    data = (GBU_KIND if gbu else KIND)[section.kind]
    protocol = [ATTRIBUTES] if gbu else []
    protocol.append((GBU_PROTOCOL if gbu else PROTOCOL)[section.protocol])
    if set(section.cells) <= set(section.benchmark.cells):
        protocol.append((GBU_PUBLISHED if gbu else PUBLISHED)[section.protocol])
    return [data, " ".join(protocol), SPREAD]
