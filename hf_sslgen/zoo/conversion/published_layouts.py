"""Which layout the published file of a registered backbone is in, as far as its publisher is known."""

from collections.abc import Mapping
from typing import Final

from hf_sslgen.zoo.backbone_registry import Backbone

OF_PUBLISHERS: Final[Mapping[str, str]] = {
    "mmselfsup-": "mmselfsup",
    "lightly-ai/simclrv1-": "simclr_v1",
    "lightly-": "lightly",
    "ibot-": "plain",
}
"""Layouts by the beginning of the rows' names, the more special ones first."""

OF_OBJECTIVES: Final[Mapping[str, str]] = {
    "swav": "swav",
    "deepcluster-v2": "swav",
    "sela-v2": "swav",
    "moco-v1": "moco",
    "moco-v2": "moco",
    "pcl-v1": "moco",
    "pcl-v2": "moco",
    "moco-v3": "moco_v3",
    "simsiam": "simsiam",
    "insdis": "pycontrast",
    "pirl": "pycontrast",
    "infomin": "pycontrast",
    "obow": "obow",
    "simclr": "simclr_v1",
    "simclr-v2": "simclr_v2",
    "byol": "byol",
    "supervised": "supervised",
}
"""Layouts of the methods' own authors; those that are not listed publish the trunk alone (`plain`)."""


def published_layout(row: Backbone) -> str:
    """Return the layout of a row's file: as the row states, else its publisher's, else its method's authors'."""
    if row.layout is not None:
        return row.layout
    of_publisher = (layout for beginning, layout in OF_PUBLISHERS.items() if row.id.startswith(beginning))
    return next(of_publisher, OF_OBJECTIVES.get(row.objective, "plain"))
