"""Build the small image domains shipped with the package from pictures contained in two other packages.

    python scripts/build_embedded_domains.py

This needs scikit-image and scikit-learn (0.26.0 and 1.9.1 have every picture named here); nothing is downloaded. If a
scikit-image release lacks some pictures in its wheel, unpack one that has them and name its `data` folder:

    python scripts/build_embedded_domains.py --pictures unpacked/skimage/data

Each picture is a class, and its patches are the images. They are cut so that intervals stay honest:
- the picture's columns are divided into train | gap | test | gap | train | gap | test, so no pixel is in both splits,
  and neighbours across a border are `GAP` pixels apart;
- test patches lie on a grid and never overlap, so no pixel counts twice;
- train patches lie on a grid of half a patch, so two of them share at most half of their pixels;
- patches whose grey levels hardly vary (empty sky, black corners) are left out of both splits by the same rule, before
  a seeded choice caps all classes at the same number.

A second run with the same versions of Pillow, pyarrow and datasets writes the same bytes.
"""

import argparse
import hashlib
import importlib.util
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from hf_sslgen.domains.domain_registry import EMBEDDED_FOLDER
from hf_sslgen.errors import InputError
from hf_sslgen.files import replace_file
from hf_sslgen.randomness import derive_seed

PATCH = 48
GAP = 16
# Share of the columns that one of the two test bands may take, rounded down to whole patches.
TEST_BAND_SHARE = 0.225
MIN_GREY_SD = 4.0
TRAIN_PATCHES = 60
TEST_PATCHES = 24
SEED = 0

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Picture:
    """A source picture and the class its patches form.

    Attributes:
        package: the package that contains the file.
        sha256: hash of the file, to detect a different picture of the same name in another release.
        reduce: side of the blocks to average first, if a patch at full size would show too little.
    """

    label: str
    package: str
    path: str
    sha256: str
    reduce: int = 1


PHOTOGRAPHS = (
    Picture(
        "astronaut",
        "skimage",
        "data/astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    ),
    Picture(
        "chelsea",
        "skimage",
        "data/chelsea.png",
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
    ),
    Picture(
        "coffee",
        "skimage",
        "data/coffee.png",
        "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
    ),
    Picture(
        "rocket",
        "skimage",
        "data/rocket.jpg",
        "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
    ),
    Picture(
        "china",
        "sklearn",
        "datasets/images/china.jpg",
        "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
    ),
    Picture(
        "flower",
        "sklearn",
        "datasets/images/flower.jpg",
        "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
    ),
)
SPECIMENS = (
    Picture(
        "stained tissue",
        "skimage",
        "data/ihc.png",
        "f8dd1aa387ddd1f49d8ad13b50921b237df8e9b262606d258770687b0ef93cef",
    ),
    Picture(
        "retina",
        "skimage",
        "data/retina.jpg",
        "38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6",
        reduce=2,
    ),
    Picture(
        "deep field",
        "skimage",
        "data/hubble_deep_field.jpg",
        "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4",
    ),
    Picture(
        "brick",
        "skimage",
        "data/brick.png",
        "7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf",
    ),
    Picture(
        "grass",
        "skimage",
        "data/grass.png",
        "b6b6022426b38936c43a4ac09635cd78af074e90f42ffa8227ac8b7452d39f89",
    ),
    Picture(
        "gravel",
        "skimage",
        "data/gravel.png",
        "c48615b451bf1e606fbd72c0aa9f8cc0f068ab7111ef7d93bb9b0f2586440c12",
    ),
)
DIGITS = Picture(
    "digits",
    "sklearn",
    "datasets/data/digits.csv.gz",
    "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
)
PATCH_DOMAINS = {"photo-patches": PHOTOGRAPHS, "specimen-patches": SPECIMENS}


def find_file(picture: Picture, pictures: Path | None = None) -> Path:
    """Return the picture's file in its installed package, or in the folder `pictures` if that has it."""
    if pictures is not None and picture.package == "skimage":
        path = pictures / Path(picture.path).name
    else:
        package = importlib.util.find_spec(picture.package)
        if package is None or package.origin is None:
            raise InputError(
                f"the package {picture.package!r} is not installed; install it, because its pictures are needed"
            )
        path = Path(package.origin).parent / picture.path
    if not path.is_file():
        raise InputError(
            f"there is no {path}; unpack a scikit-image wheel that has it and pass its data folder with --pictures"
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != picture.sha256:
        raise InputError(f"{path} is not the expected picture (sha256 {found}, expected {picture.sha256})")
    return path


def load_picture(picture: Picture, pictures: Path | None = None) -> Image.Image:
    """Load the whole picture, gray or RGB as stored, reduced if its row says so."""
    image = Image.open(find_file(picture, pictures))
    image.load()
    return image.reduce(picture.reduce) if picture.reduce > 1 else image


def bands(width: int) -> list[tuple[str, int, int]]:
    """Return (split, first column, end column) of the picture's bands, from left to right."""
    test_width = max(2, int(width * TEST_BAND_SHARE) // PATCH) * PATCH
    train_width = width - 2 * test_width - 3 * GAP
    if train_width < 2 * PATCH:
        raise InputError(f"a picture of {width} columns is too narrow to be divided")
    first = train_width // 2
    borders = []
    start = 0
    for split, band in (("train", first), ("test", test_width), ("train", train_width - first), ("test", test_width)):
        borders.append((split, start, start + band))
        start += band + GAP
    return borders


def candidate_boxes(width: int, height: int) -> dict[str, list[Box]]:
    """Return every (left, upper, right, lower) box of the two splits' grids."""
    boxes: dict[str, list[Box]] = {"train": [], "test": []}
    for split, start, stop in bands(width):
        step = PATCH if split == "test" else PATCH // 2
        for left in range(start, stop - PATCH + 1, step):
            for upper in range(0, height - PATCH + 1, step):
                boxes[split].append((left, upper, left + PATCH, upper + PATCH))
    return boxes


def varied_boxes(image: Image.Image, boxes: Sequence[Box]) -> list[Box]:
    """Select the boxes whose grey levels have a standard deviation of at least `MIN_GREY_SD`."""
    grey = np.asarray(image.convert("L"), dtype=np.float64)
    return [box for box in boxes if grey[box[1] : box[3], box[0] : box[2]].std() >= MIN_GREY_SD]


def chosen_boxes(image: Image.Image, label: str) -> dict[str, list[Box]]:
    """Choose the boxes of one class: as many in each split as for every other class, in reading order."""
    chosen: dict[str, list[Box]] = {}
    for split, boxes in candidate_boxes(*image.size).items():
        wanted = TRAIN_PATCHES if split == "train" else TEST_PATCHES
        varied = varied_boxes(image, boxes)
        if len(varied) < wanted:
            raise InputError(f"{label!r} has {len(varied)} {split} patches that vary, but {wanted} are needed")
        generator = np.random.default_rng(derive_seed(SEED, "embedded patches", label, split))
        indices = generator.choice(len(varied), size=wanted, replace=False)
        chosen[split] = [varied[index] for index in sorted(indices)]
    return chosen


def encode_png(image: Image.Image) -> bytes:
    """Encode losslessly, without any metadata."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def patch_rows(domain: str, pictures: Path | None = None) -> Iterator[tuple[str, bytes, int]]:
    """Iterate over (split, PNG bytes, label) for every patch of one domain."""
    for label, picture in enumerate(PATCH_DOMAINS[domain]):
        image = load_picture(picture, pictures)
        for split, boxes in chosen_boxes(image, picture.label).items():
            for box in boxes:
                yield split, encode_png(image.crop(box)), label


def digit_rows() -> Iterator[tuple[str, bytes, int]]:
    """Iterate over (split, PNG bytes, label) for scikit-learn's digits: 8 x 8 pixels, stretched from 0-16 to 0-255.

    A seeded third of each digit is the test split. Both splits contain digits by the same writers, because the data
    do not identify them.
    """
    table = np.loadtxt(find_file(DIGITS), delimiter=",")
    pixels, labels = table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(int)
    is_test = np.zeros(len(labels), dtype=bool)
    for digit in range(10):
        members = np.flatnonzero(labels == digit)
        generator = np.random.default_rng(derive_seed(SEED, "embedded digits", digit))
        is_test[generator.choice(members, size=round(len(members) / 3), replace=False)] = True
    for image, label, test in zip(pixels, labels, is_test, strict=True):
        grey = np.round(image * (255 / 16)).astype(np.uint8)
        yield "test" if test else "train", encode_png(Image.fromarray(grey)), int(label)


def write_domain(folder: Path, rows: Iterator[tuple[str, bytes, int]], names: Sequence[str]) -> dict[str, int]:
    """Write a parquet file for each split, in the layout `datasets` reads with its features; return the sizes."""
    columns: dict[str, dict[str, list]] = {split: {"image": [], "label": []} for split in ("train", "test")}
    for split, encoded, label in rows:
        columns[split]["image"].append({"bytes": encoded, "path": None})
        columns[split]["label"].append(label)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(names))})
    for split, content in columns.items():
        table = datasets.Dataset.from_dict(content, features=features).data.table
        # The features are stored in the schema's metadata; compressing PNG bytes again gains nothing.
        schema = features.arrow_schema
        with replace_file(folder / f"{split}.parquet") as unfinished:
            pq.write_table(table.cast(schema), unfinished, compression="zstd", use_dictionary=False)
    return {split: len(content["label"]) for split, content in columns.items()}


def build(folder: Path, pictures: Path | None = None) -> dict[str, dict[str, int]]:
    """Build every embedded domain below `folder`; return the sizes of their splits."""
    sizes = {
        name: write_domain(folder / name, patch_rows(name, pictures), [picture.label for picture in sources])
        for name, sources in PATCH_DOMAINS.items()
    }
    sizes["digits"] = write_domain(folder / "digits", digit_rows(), [str(digit) for digit in range(10)])
    return sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, help="folder with scikit-image's pictures (default: the package's)")
    parser.add_argument("--output", type=Path, default=EMBEDDED_FOLDER, help="output folder (default: %(default)s)")
    arguments = parser.parse_args()
    for name, sizes in build(arguments.output, arguments.pictures).items():
        written = sum((arguments.output / name / f"{split}.parquet").stat().st_size for split in sizes)
        print(f"{name}: {', '.join(f'{count} {split}' for split, count in sizes.items())}, {written / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
