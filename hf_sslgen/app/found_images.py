"""What a folder or name given in the app stands for: pictures with labels to compare on, or pictures to look at."""

from dataclasses import dataclass
from pathlib import Path

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.local.file_survey import survey_folder
from hf_sslgen.domains.local.picture_folder import find_layout
from hf_sslgen.errors import InputError

MOST_LOOKED_AT = 8
"""Number of pictures without labels that are looked at: each takes many passes through every backbone."""

SHOWN_CLASSES = 6
TABLES = (".parquet", ".arrow", ".tar")


@dataclass(frozen=True)
class FoundImages:
    """The images to compare on, or to look at.

    Attributes:
        dataset_name: as `hf-sslgen compare` takes it.
        pictures: of a folder of pictures, ordered by name.
        labels: in words; empty for pictures without labels.
    """

    dataset_name: str
    pictures: tuple[Path, ...] = ()
    labels: str = ""

    @property
    def in_words(self) -> str:
        """What was found, in a sentence."""
        if not self.pictures:
            return f"{self.labels}."
        count = f"{len(self.pictures):,} picture{'s' if len(self.pictures) > 1 else ''}"
        if self.labels:
            return f"{count}, {self.labels}."
        return f"{count} without labels: the backbones are shown side by side on them. {HOW_TO_LABEL}"


HOW_TO_LABEL = "To compare accuracy, put the pictures into one folder per class."


def find_images(given: str) -> FoundImages:
    """Look at what was dropped or named; only a local folder is opened, anything else is left to the comparison.

    Raises:
        InputError: nothing was given, or the folder's layout is ambiguous.
    """
    name = given.strip()
    if not name:
        raise InputError("there are no images yet: drop pictures, a folder or a zip, or name a folder or dataset")
    if name.startswith("-"):
        raise InputError(f"{name!r} starts with a dash; write ./{name} for a folder")
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return FoundImages(name, labels=f"The data set {name}")
    survey = survey_folder(folder)
    if not survey.pictures or any(file.suffix in TABLES for file in survey.files):
        return FoundImages(str(folder), labels=f"The data set in {folder}")
    layout, metadata = find_layout(survey, DomainArguments(str(folder)), None)
    pictures = tuple(Path(file.path) for file in survey.pictures)
    classes = layout.class_names(layout.splits)
    if len(classes) > 1:
        listed = ", ".join(classes[:SHOWN_CLASSES]) + (", ..." if len(classes) > SHOWN_CLASSES else "")
        return FoundImages(str(folder), pictures, f"{len(classes)} classes ({listed})")
    if metadata.rows:
        return FoundImages(str(folder), pictures, "labels in a table beside them")
    return FoundImages(str(folder), pictures)
