"""`hf-sslgen push-study`: what is published, what is not, and that it can be used."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import warm_python
import yaml
from damage import reseal
from fake_pictures import add_pictures
from fake_study import CLASS_NAMES, SELF_SUPERVISED, SUPERVISED, Setting, write_study
from huggingface_hub import DatasetCard
from study_on_hub import (
    REPOSITORY,
    Command,
    add_cells,
    cell_names,
    change_numbers,
    commits,
    contents,
    remote_files,
    rewrite_identity,
)

from hf_sslgen.commands.push_study import PushStudyArguments
from hf_sslgen.commands.run_push_study import publication_of
from hf_sslgen.hub.publishable import PUBLISHED_PROVENANCE, without_paths
from hf_sslgen.hub.study_push import push_report
from hf_sslgen.study.cells.cell_folder import read_cells
from hf_sslgen.study.cells.cell_identity import cell_provenance
from tests.loopback_hub import ROLES, Hub

LOAD = """
import json, sys
from datasets import load_dataset
found = {}
for name in ("results", "records"):
    table = load_dataset(sys.argv[1], name, split="train")
    table.to_parquet(f"{sys.argv[2]}/{name}.parquet")
print(json.dumps(sorted(load_dataset(sys.argv[1], split="train").column_names)))
"""


def load(hub: Hub, folder: Path, repository: str = REPOSITORY) -> dict[str, pd.DataFrame]:
    """Both tables as an anonymous visitor's `load_dataset` reads them, with fresh caches."""
    ended = warm_python.run(["-c", LOAD, repository, folder], env=hub.environment(None), check=True)
    tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("results", "records")}
    assert json.loads(ended.stdout.splitlines()[-1]) == sorted(tables["results"].columns)  # the default one
    return tables


def test_both_tables_load(study_hub: Hub, push: Command, store: Path, tmp_path: Path) -> None:
    """Also after others added cells whose records have other columns."""
    push(store)
    other = tmp_path / "other"
    add_cells(other, "few-shot")
    push(other)
    tables = load(study_hub, tmp_path)
    cells = [cell for folder in (store, other) for cell in read_cells(folder / "cells")]
    assert len(cells) == 6
    assert len(tables["results"]) == sum(len(cell.numbers) for cell in cells)
    assert len(tables["records"]) == sum(len(cell.records()) for cell in cells)
    for cell in cells:
        numbers = tables["results"][tables["results"]["cell"] == cell.folder.name]
        assert numbers["value"].fillna(-1).tolist() == [-1 if n.value != n.value else n.value for n in cell.numbers]
        assert set(numbers["backbone"]) == {cell.backbone}
        records = tables["records"][tables["records"]["cell"] == cell.folder.name].reset_index(drop=True)
        for name, values in cell.records().items():
            if values.dtype.kind in "fiub":
                expected = values.astype(float)
                expected = expected if name != "sample_id" else expected.map("{:.0f}".format)
                pd.testing.assert_series_equal(records[name], expected, check_dtype=False)
            else:
                assert records[name].tolist() == values.tolist()


def test_cells_are_published_whole(study_hub: Hub, push: Command, store: Path) -> None:
    said = push(store)
    assert "4 cells (2 backbones, 1 domains, 2 protocols)" in said
    assert "public" in said
    assert "example pictures of photo-patches" in said
    assert said.index("public") < said.index("4 cells added")
    files = remote_files(study_hub)
    for path, content in contents(store / "cells").items():
        if not path.endswith("cell.json"):
            assert files[f"cells/{path}"] == content
    assert commits(study_hub) == 2  # the Hub's own, and this one
    card = DatasetCard(files["README.md"].decode())
    assert card.data.pretty_name == "store"
    assert "4 cells" in card.text


def test_a_dry_run_sends_nothing(study_hub: Hub, push: Command, store: Path) -> None:
    assert "4 cells" in push(store, "--dry_run", "true")
    assert study_hub.visits == []


def test_only_what_is_new_is_sent(study_hub: Hub, push: Command, store: Path) -> None:
    push(store)
    sent = study_hub.uploaded_bytes()
    assert "0 cells added, 4 already there" in push(store)
    assert (study_hub.uploaded_bytes(), commits(study_hub)) == (sent, 2)
    before = remote_files(study_hub)
    add_cells(store, "few-shot")
    assert "2 cells added, 4 already there" in push(store)
    after = remote_files(study_hub)
    new = {path: content for path, content in after.items() if path not in before}
    assert {path: after[path] for path in before if path != "README.md"} == {
        path: content for path, content in before.items() if path != "README.md"
    }
    large = sum(len(content) for path, content in new.items() if path.endswith((".parquet", ".npz")))
    assert study_hub.uploaded_bytes() - sent == large
    assert commits(study_hub) == 3


def test_other_numbers_are_reported_and_stay(study_hub: Hub, push: Command, store: Path) -> None:
    push(store)
    before = remote_files(study_hub)
    change_numbers(store / "cells" / cell_names(store)[1])
    said = push(store)
    assert "0 cells added, 3 already there" in said
    kept = "1 cells are already there with different numbers and were left unchanged"
    assert f"{kept}:\n  {cell_names(store)[1]}: 1 of its" in said
    assert "0.123 here" in said
    assert remote_files(study_hub) == before


def test_what_others_need_not_know_stays_here(study_hub: Hub, push: Command, store: Path) -> None:
    private = {
        "command": ["hf-sslgen", "study", "s.yaml", "--output_dir", "/home/aloysia/secret", "--hub_token", "x"],
        "notes": [f"read from /home/aloysia/pictures with {ROLES['owner'].token}; see https://example.org/a/b"],
        "host": "aloysias-laptop",
    }
    for cell in (store / "cells").iterdir():
        content = json.loads((cell / "cell.json").read_text())
        content["provenance"] |= private
        (cell / "cell.json").write_text(json.dumps(content))
        reseal(cell)
    push(store, "--report_space", "true")
    for kind in ("dataset", "space"):
        for path, content in remote_files(study_hub, kind=kind).items():
            for word in ("aloysia", "secret", "hf_Loopback", "--hub_token", str(store)):
                assert word.encode() not in content, (path, word)
    kept = json.loads(remote_files(study_hub)[f"cells/{cell_names(store)[0]}/cell.json"])["provenance"]
    assert kept["notes"] == ["read from (local path) with (token); see https://example.org/a/b"]
    assert kept["class_names"] == list(CLASS_NAMES)


def test_provenance_that_is_published_is_that_of_cells() -> None:
    """A key that is added to provenance must be decided on."""
    code = Path(cell_provenance.__code__.co_filename).read_text()
    keys = set(re.findall(r'^        "(\w+)":', code.split("def cell_provenance")[1], re.MULTILINE))
    assert keys - set(PUBLISHED_PROVENANCE) == {"command", "taken"}
    assert set(PUBLISHED_PROVENANCE) <= keys


@pytest.mark.parametrize(
    ("text", "published"),
    [
        ("untrained:/home/aloysia/net", "untrained:(local path)"),
        ("~/net and ../net, ./net", "(local path) and (local path), (local path)"),
        (r"C:\Users\aloysia\net", "(local path)"),
        (r"\\server\share", "(local path)"),
        ("file:///home/aloysia", "(local path)"),
        ("timm/vit_tiny.augreg_in21k", "timm/vit_tiny.augreg_in21k"),
        ("n/a, 1/2, and/or, a - b / c", "n/a, 1/2, and/or, a - b / c"),
        ("https://huggingface.co/a/b", "https://huggingface.co/a/b"),
        ("hf_sslgen 0.1, hf_abcdefghijklmnopqrst", "hf_sslgen 0.1, (token)"),
    ],
)
def test_paths_and_tokens_are_blotted_out(text: str, published: str) -> None:
    assert without_paths(text) == published


def test_a_local_path_in_an_identity_is_refused(study_hub: Hub, push: Command, store: Path) -> None:
    rewrite_identity(store / "cells" / cell_names(store)[0], backbone="/home/aloysia/net")
    assert "local path, '/home/aloysia/net', which would be published: give the backbone a `name`" in push(store)
    assert study_hub.visits == []
    assert "4 cells added" in push(store, "--allow_local_paths", "true")


def test_a_relative_path_in_an_identity_is_refused(push: Command, store: Path) -> None:
    """It looks like the name of a repository, whose weights a commit would name."""
    cell = rewrite_identity(store / "cells" / cell_names(store)[0], backbone="clients/net", weights="a" * 40)
    assert "4 cells (" in push(store, "--dry_run", "true")
    rewrite_identity(cell, weights="0123456789abcdef")
    assert "local path, 'clients/net', which would be published" in push(store, "--dry_run", "true")
    assert "4 cells (" in push(store, "--dry_run", "true", "--allow_local_paths", "true")


def test_without_pictures(study_hub: Hub, push: Command, store: Path) -> None:
    said = push(store, "--examples", "false", "--private", "true", "--license", "cc-by-4.0")
    assert "example pictures" not in said
    assert "MB, private (an existing repository" in said
    files = remote_files(study_hub)
    assert not any(path.endswith(".npz") for path in files)
    assert "license: cc-by-4.0" in files["README.md"].decode()
    assert study_hub.api().dataset_info(REPOSITORY).private


def test_later_pushes_keep_licence_and_page_and_may_set_them(
    study_hub: Hub, push: Command, store: Path, tmp_path: Path
) -> None:
    def card() -> DatasetCard:
        return DatasetCard(remote_files(study_hub)["README.md"].decode())

    push(store)
    assert (card().data.license, "/spaces/org/study" in card().text) == (None, False)
    assert "0 cells added, 4 already there" in push(store, "--license", "mit", "--report_space", "true")
    assert (card().data.license, "/spaces/org/study" in card().text) == ("mit", True)
    assert "4 cells" in card().text
    other = tmp_path / "other"
    add_cells(other, "few-shot")
    push(other)
    assert (card().data.license, "/spaces/org/study" in card().text) == ("mit", True)
    assert "6 cells" in card().text
    assert commits(study_hub) == 4
    push(other, "--license", "mit")
    assert commits(study_hub) == 4
    assert "the Hub rejects the card of datasets/org/study" in push(other, "--license", "my own")


def test_a_page_as_a_space(study_hub: Hub, push: Command, store: Path) -> None:
    assert "the page is new" in push(store, "--report_space", "true")
    files = remote_files(study_hub, kind="space")
    assert set(files) == {".gitattributes", "README.md", "index.html"}
    metadata = yaml.safe_load(files["README.md"].decode().split("---")[1])
    assert (metadata["sdk"], metadata["datasets"]) == ("static", [REPOSITORY])
    page = files["index.html"].decode()
    assert SUPERVISED.name in page
    assert re.findall(r'(?:src|href)="(?!#|data:)([^"]*)"', page) == []
    assert "the page has not changed" in push(store, "--report_space", "true")
    assert commits(study_hub, kind="space") == 2


def test_pictures_of_images_are_published_only_if_asked_for(study_hub: Hub, push: Command, store: Path) -> None:
    add_pictures(read_cells(store / "cells"))

    def shown() -> bool:
        return b"Most confident errors" in remote_files(study_hub, kind="space")["index.html"].split(b"<script")[0]

    push(store, "--report_space", "true")
    assert not shown()
    assert "the page with small pictures of images" in push(store, "--report_space", "true", "--pictures", "true")
    assert shown()
    assert "add --report_space true" in push(store, "--pictures", "true")
    assert not any(path.endswith(".webp") for path in remote_files(study_hub))


def test_failures_on_the_page_name_no_folder(study_hub: Hub, store: Path) -> None:
    publication, _ = publication_of(PushStudyArguments(str(store), REPOSITORY, report_space=True))
    failed = replace(publication, missing=["Failed: net on digits: /home/aloysia/digits can't be read"])
    assert push_report(study_hub.api(), failed, private=None)
    page = remote_files(study_hub, kind="space")["index.html"].decode()
    assert "net on digits: (local path) can" in page
    assert "/home/aloysia" not in page


def test_what_is_something_else_is_not_written_to(study_hub: Hub, push: Command, store: Path) -> None:
    api = study_hub.api()
    for kind, name in (("dataset", "index.csv"), ("space", "index.html")):
        api.create_repo(REPOSITORY, repo_type=kind, space_sdk="static" if kind == "space" else None)
        api.upload_file(path_or_fileobj=b"x\n1\n", path_in_repo=name, repo_id=REPOSITORY, repo_type=kind)
    assert "the dataset 'org/study' exists and does not contain a study (it contains 'index.csv')" in push(store)
    api.delete_repo(REPOSITORY, repo_type="dataset")
    assert "the Space 'org/study' exists and is not a study's report" in push(store, "--report_space", "true")
    assert remote_files(study_hub, kind="space")["index.html"] == b"x\n1\n"


def test_names_are_only_text(study_hub: Hub, push: Command, tmp_path: Path) -> None:
    """What Markdown, HTML and YAML would read as markup comes out as it is."""
    names = ("a|b](http://x.org) **c** <img src=x onerror=alert(1)>", "---\nlicense: mit # {{ 7 * 7 }} `d`")
    backbones = [
        replace(backbone, name=name) for backbone, name in zip((SUPERVISED, SELF_SUPERVISED), names, strict=True)
    ]
    store = tmp_path / "<b>bold</b> & 'quoted': [x]"
    domain = "d: <script>alert(2)</script>"
    write_study(store / "cells", backbones, [(domain, "similar")], settings=(Setting("linear"),))
    push(store, "--report_space", "true")
    for kind in ("dataset", "space"):
        body = remote_files(study_hub, kind=kind)["README.md"].decode().split("\n---\n\n# ", 1)[1]
        assert not re.search(r"(?<!\\)<", body)
        assert "49" not in body.split("Written by")[0]
    card = DatasetCard(remote_files(study_hub)["README.md"].decode())
    assert card.data.license is None
    assert card.data.pretty_name == store.name
    assert card.data.to_dict()["hf_sslgen_study"]["backbones"] == sorted(" ".join(name.split()) for name in names)
    page = remote_files(study_hub, kind="space")["index.html"].decode()
    assert "<img src=x" not in page
    assert "<script>alert" not in page
    tables = load(study_hub, tmp_path)
    assert set(tables["results"]["backbone"]) == set(names)
    assert set(tables["records"]["domain"]) == {domain}


def test_a_folder_that_is_no_study_is_refused(study_hub: Hub, push: Command, store: Path, tmp_path: Path) -> None:
    assert "does not hold a study" in push(tmp_path / "none")
    assert "give it as owner/name" in push(store, repository="study")
    assert "is not a valid name" in push(store, repository="org/a b")
    name = cell_names(store)[0]
    (store / "cells" / name).rename(store / "cells" / f"{name[:-12]}{'0' * 12}")
    assert "unreadable cells were left out: " in push(store, "--dry_run", "true")
    assert study_hub.visits == []
