"""Running the command on a combination and judging what came out."""

import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hf_sslgen.commands import analyze
from hf_sslgen.errors import InputError
from tests.matrix.checkpoints import expected, save_checkpoint
from tests.matrix.combinations import Combination
from tests.matrix.labels import CLASS_NAMES, integers
from tests.matrix.layouts import LAYOUTS, SPLITS
from tests.matrix.pictures import NUM_CLASSES, Picture, pictures

TOLERANCE = 0.02
"""Of a confidence: what two levels of 255 in the pixels change at most (another order of channels changes 0.1)."""


@dataclass(frozen=True)
class Seen:
    """A test image as the command recorded it."""

    reference: str
    prediction: str
    confidence: float


def class_names(combination: Combination) -> tuple[str, ...]:
    """As the data set calls its classes."""
    if combination.storage == "integers":
        return tuple(str(integers(index)) for index in range(NUM_CLASSES))
    return CLASS_NAMES[combination.class_names].names


def run(combination: Combination, folder: Path) -> tuple[list[Seen], None] | tuple[None, str]:
    """What was recorded of the test images, or the sentence that refuses the data set."""
    (folder / "data").mkdir()
    dataset_name = LAYOUTS[combination.layout].write(folder / "data", combination.content)
    checkpoint = save_checkpoint(folder / "checkpoint", combination.processor, class_names(combination))
    options = ["--model_name_or_path", str(checkpoint), "--dataset_name", str(dataset_name)]
    options += [*LAYOUTS[combination.layout].options, *combination.content.encoding.options]
    fast = ["--reinitialised_control", "false", "--figures", "false"]
    try:
        analyze.main([*options, *fast, "--output_dir", str(folder / "out")])
    except InputError as error:
        return None, str(error)
    names = json.loads((folder / "out" / "cell.json").read_text(encoding="utf-8"))["provenance"]["class_names"]
    records = pd.read_parquet(folder / "out" / "records.parquet")
    clean = records[records["transform"] == ""]
    return [
        Seen(_composed(names[int(row.reference)]), _composed(names[int(row.prediction)]), float(row.confidence))
        for row in clean.itertuples()
    ], None


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _candidates(combination: Combination) -> list[Picture]:
    if LAYOUTS[combination.layout].carved:
        return [each for split in SPLITS for each in pictures(split)]
    return list(pictures("test"))


def wrong(combination: Combination, seen: list[Seen]) -> str | None:
    """What is wrong with what was recorded, if anything: each record must be of a picture of its own."""
    names = [_composed(name) for name in class_names(combination)]
    left = _candidates(combination)
    if not LAYOUTS[combination.layout].carved and len(seen) != len(left):
        return f"{len(seen)} test images instead of {len(left)}"
    if not seen:
        return "no test images"
    for record in seen:
        for picture in left:
            right = expected(combination.processor, combination.encoding, picture)
            if (
                record.reference == names[picture.class_index]
                and abs(record.confidence - right.confidence) <= TOLERANCE
                and (record.prediction == names[right.class_index] or right.margin <= 2 * TOLERANCE)
            ):
                left.remove(picture)
                break
        else:
            return f"no picture of the test split is as recorded: {record}"
    return None


def unclear(message: str) -> str | None:
    """What is wrong with a sentence that refuses something, if anything."""
    if "\n" in message or "Traceback" in message:
        return "more than one line"
    if not 30 <= len(message) <= 1500:
        return f"{len(message)} characters"
    if re.search(r"\b(Error|Exception)\b.*\b(Error|Exception)\b", message):
        return "errors of other programs"
    return None
