"""Where the converted checkpoint of a registered backbone is looked for."""

import subprocess
import sys
from pathlib import Path

import pytest

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.backbone_registry import Backbone, find_backbone
from hf_sslgen.zoo.converted_rows import converted_folder, converted_root, is_converted, repository_name
from hf_sslgen.zoo.locations import resolve_location, wanted_revision

PINNED = "nyu-visionx/moco-v3-vit-b"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in ("HF_SSLGEN_ZOO", "HF_SSLGEN_ZOO_ORGANIZATION", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def _row(name: str = PINNED) -> Backbone:
    row = find_backbone(name)
    assert row is not None and row.needs_conversion
    return row


def _convert(row: Backbone) -> Path:
    folder = converted_folder(row)
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("variables", "root"),
    [
        ({"HF_SSLGEN_ZOO": "{}/own", "HF_HOME": "{}/hub"}, "{}/own"),
        ({"HF_HOME": "{}/hub", "XDG_CACHE_HOME": "{}/caches"}, "{}/hub/hf-sslgen/zoo"),
        ({"XDG_CACHE_HOME": "{}/caches"}, "{}/caches/huggingface/hf-sslgen/zoo"),
        ({"HOME": "{}"}, "{}/.cache/huggingface/hf-sslgen/zoo"),
    ],
)
def test_converted_checkpoints_lie_beside_the_caches_of_the_hub_unless_a_folder_is_set(
    tmp_path, monkeypatch, variables, root
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    assert converted_root() == Path(root.format(tmp_path))


def test_a_converted_row_is_found_by_its_name_and_has_no_revision(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_SSLGEN_ZOO", str(tmp_path))
    assert not is_converted(_row())
    folder = _convert(_row())
    assert folder == tmp_path / "nyu-visionx--moco-v3-vit-b"
    assert is_converted(_row())
    assert resolve_location(PINNED) == str(folder)
    assert wanted_revision(PINNED, None) is None
    with pytest.raises(InputError, match="is a folder and has no revision 'main'"):
        wanted_revision(f"{PINNED}@main", None)
    (folder / "model.safetensors").unlink()
    assert not is_converted(_row())


def test_an_organisation_stands_in_for_rows_that_are_not_converted_here(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_SSLGEN_ZOO", str(tmp_path))
    monkeypatch.setenv("HF_SSLGEN_ZOO_ORGANIZATION", "somebody")
    assert resolve_location(PINNED) == "somebody/nyu-visionx-moco-v3-vit-b"
    # The revision pinned in the registry is that of the publisher's repository.
    assert wanted_revision(PINNED, None) is None
    assert wanted_revision(f"{PINNED}@v1", None) == "v1"
    folder = _convert(_row())
    assert resolve_location(PINNED) == str(folder)
    monkeypatch.setenv("HF_SSLGEN_ZOO_ORGANIZATION", "some/body")
    with pytest.raises(InputError, match="HF_SSLGEN_ZOO_ORGANIZATION is 'some/body'; it must be the name"):
        resolve_location("dino-resnet50")


def test_the_hub_accepts_the_name_of_each_converted_checkpoint():
    from huggingface_hub.utils import validate_repo_id

    from hf_sslgen.zoo.backbone_registry import all_backbones

    names = [repository_name(row) for row in all_backbones() if row.needs_conversion]
    assert len(set(names)) == len(names)
    for name in names:
        validate_repo_id(f"organisation/{name}")


def test_looking_for_a_converted_row_loads_no_heavy_library():
    code = (
        "import sys; import hf_sslgen.zoo.converted_rows as c; c.converted_root();"
        "heavy = ('torch', 'timm', 'transformers', 'datasets', 'numpy', 'huggingface_hub');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
