"""Data sets of the Hub whose pictures are files, whose rows name files, and whose splits order their classes."""

import json
from pathlib import Path

from datasets import ClassLabel, Dataset, Features, Image
from finetuned_runs import python

from tests.loopback_hub import Hub
from tests.support.colours import encoded, write_folder

TRAIN, TEST = ["cat", "dog"] * 4, ["cat", "dog", "dog"]

READ = """
import json, sys
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.errors import SslgenError
from tests.support.colours import colour_of
found = []
for name in ("folder", "turned", "named"):
    for streaming in (False, True):
        try:
            domain = load_domain(DomainArguments(f"org/{name}", streaming=streaming))
            domain.test.fingerprint()
            meant = [domain.class_names[label] for label in domain.test.labels]
            found.append([meant, [colour_of(domain.test.image(row)) for row in range(len(domain.test))]])
        except SslgenError as error:
            found.append(str(error))
print(json.dumps(found))
"""


def write_table(folder: Path, split: str, names: list[str], colours: list[str], images: list[dict]) -> None:
    features = Features({"image": Image(decode=False), "label": ClassLabel(names=names)})
    rows = Dataset.from_dict({"image": images, "label": [names.index(each) for each in colours]}, features=features)
    folder.mkdir(exist_ok=True)
    rows.cast_column("image", Image()).to_parquet(folder / f"{split}.parquet")


def test_labels_and_pictures_of_the_hub_are_those_of_their_data_set(
    hub_in_process: Hub, tmp_path: Path, no_failure_of_the_hub: None
) -> None:
    folders = {"folder": write_folder(tmp_path / "folder", ["cat", "dog"], {"train": 4, "test": 2})}
    for name in ("turned", "named"):
        folders[name] = tmp_path / name
        for split, classes, colours in (("train", ["dog", "cat"], TRAIN), ("test", ["cat", "dog"], TEST)):
            images = [{"bytes": encoded(each, row), "path": None} for row, each in enumerate(colours)]
            if name == "named":
                images = [{"bytes": None, "path": str(tmp_path / "folder" / "train" / "cat" / "0.png")}] * len(images)
            write_table(folders[name], split, classes, colours, images)
    api = hub_in_process.api("owner")
    for name, folder in folders.items():
        api.create_repo(f"org/{name}", repo_type="dataset")
        api.upload_folder(repo_id=f"org/{name}", repo_type="dataset", folder_path=folder)
    read = python(hub_in_process, "-c", READ)
    assert read.returncode == 0, read.stderr[-3000:]
    found = json.loads(read.stdout.splitlines()[-1])
    for meant, colours in found[:4]:
        assert (meant, set(meant)) == (colours, {"cat", "dog"})
    assert [meant for meant, _ in found[2:4]] == [TEST, TEST]
    for refused in found[4:]:
        assert "the row has a path and no bytes; store the bytes" in refused
