"""Small pictures beside synthetic cells."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.pictures.picture_choice import least_invariant, pictured_errors
from hf_sslgen.study.pictures.small_picture import small_picture
from hf_sslgen.study.pictures.stored_pictures import PICTURES, index_path, moved_key, picture_path


def keep(folder: Path, label: str) -> str:
    """Store a small picture whose colours are drawn from its label."""
    name = hashlib.blake2b(label.encode(), digest_size=16).hexdigest()
    colours = np.frombuffer(hashlib.blake2b(label.encode(), digest_size=48).digest(), dtype=np.uint8).reshape(4, 4, 3)
    folder.mkdir(exist_ok=True)
    picture = Image.fromarray(colours).resize((40, 40), Image.Resampling.NEAREST)
    picture_path(folder, name).write_bytes(small_picture(picture))
    return name


def add_pictures(cells: Iterable[Cell]) -> None:
    """Keep pictures beside the cells of a store, as the worker does for real ones."""
    for cell in cells:
        folder = cell.folder.parent.parent / PICTURES
        images = {e.sample_id: keep(folder, e.sample_id) for e in pictured_errors(cell.columns().clean)}
        moved = {
            moved_key(m.sample_id, m.variant): [keep(folder, m.sample_id), keep(folder, f"{m.sample_id} {m.variant}")]
            for m in least_invariant(cell.columns(), [])
        }
        path = index_path(folder, cell.folder.name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"images": images, "moved": moved}))
