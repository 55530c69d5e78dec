"""What a user says about a target domain."""

from dataclasses import dataclass, field
from typing import Any

from hf_sslgen.domains.words import BoxFormat, Group
from hf_sslgen.errors import InputError
from hf_sslgen.intensity import DATASET_RANGE, read_intensity
from hf_sslgen.settings import AT_LEAST_ONE, NOT_NEGATIVE, SEED, SHARE, Range, check_fields, part_of, setting


@dataclass(frozen=True)
class DomainArguments:
    """A target domain: which images, which columns, which splits. Names as in transformers' examples."""

    dataset_name: str = field(
        metadata={
            "help": "A name from `hf-sslgen domains`, a data set's id on the Hub, a local folder (imagefolder layout, "
            "parquet, Arrow or WebDataset files, or what `save_to_disk` wrote) or a single such file."
        }
    )
    domain_name: str | None = field(
        default=None,
        metadata={"help": "Its name in results (default: its registered name, its folder's name or its Hub id)."},
    )
    dataset_config_name: str | None = field(default=None, metadata={"help": "The data set's configuration."})
    dataset_revision: str | None = field(
        default=None, metadata={"help": "Branch, tag or commit on the Hub; all splits are of the commit it is then."}
    )
    image_column_name: str | None = field(
        default=None, metadata={"help": "Column of the images; found by itself where only one can be meant."}
    )
    label_column_name: str | None = field(
        default=None,
        metadata={
            "help": "Column of the labels, or a field of one (`json.label`); found by itself where only one can be "
            "meant."
        },
    )
    box_column_name: str | None = field(
        default=None,
        metadata={
            "help": "Column of the objects' boxes, in pixels of the stored picture: one box of four numbers an image, "
            "or a list of them."
        },
    )
    box_format: BoxFormat = field(
        default="xyxy", metadata={"help": "Boxes are x0, y0, x1, y1, or x, y, width, height (as COCO has them)."}
    )
    mask_column_name: str | None = field(
        default=None,
        metadata={
            "help": "Column of the objects' masks, of each picture's size: pictures or 2-D arrays, not zero on the "
            "object."
        },
    )
    pair_column_name: str | None = field(
        default=None,
        metadata={
            "help": "Column that names the object, burst or patient: images with the same value show the same thing."
        },
    )
    train_split_name: str | None = field(default=None, metadata={"help": "Split to train on (default: train)."})
    validation_split_name: str | None = field(
        default=None, metadata={"help": "Split to select on; without one it is carved from the training split."}
    )
    test_split_name: str | None = field(
        default=None, metadata={"help": "Split to measure on (default: test, else validation)."}
    )
    registered_as: str | None = field(
        default=None,
        metadata={
            "help": "Treat it as this registered domain (columns, group, metric, transforms that keep its labels): "
            "for a local copy, a mirror or a subset."
        },
    )
    group: Group | None = field(
        default=None,
        metadata={"help": "`similar` to the source data or `different` from it; known for registered domains."},
    )
    train_val_split: float = setting(
        0.2,
        range=Range(above=0, below=1),
        help="Share of the training split carved off for validation where there is none.",
    )
    split_seed: int = setting(0, range=SEED, help="Seed of that carving and of the subsets below.")
    test_seed: int | None = setting(
        None,
        range=SEED,
        help="Seed of the choice of test images alone, so that runs with other splits measure on the same ones.",
    )
    label_fraction: float | None = setting(
        None,
        range=SHARE,
        help="Use this share of the labels (0.01: one in a hundred), for training and selection together: a "
        "stratified part of the training split, drawn before validation is carved, and of a published validation "
        "split.",
    )
    samples_per_class: int | None = setting(
        None, range=AT_LEAST_ONE, help="Train on this many images per class, drawn after validation was carved."
    )
    max_train_samples: int | None = setting(None, range=AT_LEAST_ONE, help="Train on at most this many (stratified).")
    max_eval_samples: int | None = setting(
        None, range=AT_LEAST_ONE, help="Validate on at most this many (stratified)."
    )
    max_test_samples: int | None = setting(None, range=AT_LEAST_ONE, help="Measure on at most this many (stratified).")
    streaming: bool = field(
        default=False,
        metadata={
            "help": "Stream the training split instead of preparing it on disk, and keep the others in a private "
            "folder while the process lasts; needs --max_steps."
        },
    )
    shuffle_buffer_size: int = setting(
        1000, range=NOT_NEGATIVE, help="Images held, undecoded, to shuffle a stream; 0 keeps the stored order."
    )
    intensity_range: str | None = field(
        default=None,
        metadata={
            "help": "Stored values to read as black and white: LOW,HIGH (`--intensity_range=-1000,3000`); `dataset` "
            "for the smallest and largest of the training images; `image` for those of each picture. Without it, "
            "the range that each file states is used."
        },
    )
    skip_corrupt: bool = field(
        default=False,
        metadata={"help": "Leave images out that can't be decoded, and say how many, instead of stopping."},
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if self.box_format != "xyxy" and self.box_column_name is None:
            raise InputError("box_format says how a column of boxes is to be read; name that with --box_column_name")
        if self.label_fraction is not None and self.samples_per_class is not None:
            raise InputError("label_fraction and samples_per_class are two budgets of labels; give one of them")
        if self.intensity_range not in (None, DATASET_RANGE):
            read_intensity(self.intensity_range)


SHARED = (
    "image_column_name",
    "label_column_name",
    "label_fraction",
    "samples_per_class",
    "max_train_samples",
    "max_eval_samples",
    "max_test_samples",
    "intensity_range",
    "skip_corrupt",
)
SharedDomainArguments: Any = part_of(DomainArguments, "SharedDomainArguments", SHARED)
"""What can be said once for several domains."""


def label_budget_words(arguments: DomainArguments) -> str:
    """The labels a domain is learned from, such as "100%", "10%", "1%" or "5-shot", for identities and tables."""
    if arguments.samples_per_class is not None:
        budget = f"{arguments.samples_per_class}-shot"
    else:
        budget = f"{100 * (1 if arguments.label_fraction is None else arguments.label_fraction):g}%"
    if arguments.max_train_samples is not None:
        budget += f", at most {arguments.max_train_samples} images"
    return budget
