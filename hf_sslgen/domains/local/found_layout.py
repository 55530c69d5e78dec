"""Find out how a folder of pictures is laid out, before anything is read from the pictures."""

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_registry import DomainEntry
from hf_sslgen.domains.local.file_survey import Survey
from hf_sslgen.domains.local.folder_layout import FolderLayout, read_layout
from hf_sslgen.domains.local.folder_metadata import Metadata, read_metadata
from hf_sslgen.domains.local.folder_splits import split_by_column
from hf_sslgen.domains.split_roles import asked_splits

LABEL = "label"
"""The metadata column that is taken as the labels."""

LABEL_WORDS = ("labels", "class", "classes", "class_name", "category", "target")
"""Metadata columns that may be meant as labels even if there are class folders."""


def find_layout(
    survey: Survey, arguments: DomainArguments, entry: DomainEntry | None
) -> tuple[FolderLayout, Metadata]:
    """Derive the layout and read the metadata; raises InputError if the layout is ambiguous."""
    metadata = read_metadata(survey, arguments.skip_corrupt)
    pictures = [
        file
        for file in survey.files
        if file.path in metadata.rows or (file.is_picture and file.path not in metadata.linked)
    ]
    asked = arguments.label_column_name
    labels = [name for name in metadata.columns if name in (LABEL, asked) or name.lower() in LABEL_WORDS]
    stated = tuple(asked_splits(arguments, entry).values())
    layout = read_layout(pictures, stated, metadata.rows, bool(labels))
    return split_by_column(layout, metadata, stated)
