"""Names that can only be paths are told apart from ids on the Hub, and say what is there instead."""

from pathlib import Path

import pytest

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.errors import InputError
from hf_sslgen.local_paths import path_refusal
from hf_sslgen.zoo.backbone_loading import load_backbone

PATHS = (
    "./my_images",
    "../my_images",
    "/nowhere/my_images",
    "~/my_images",
    "~nobody-of-this-name/my_images",
    "data/my_images",
    "data/my/images",
    "my_images/",
    "C:\\my_images",
    "C:/my_images",
    "data\\my_images",
    "my_images.zip",
    "my_images.PARQUET",
    "notes.txt",
    ".hidden",
)
IDS = ("owner/name", "cifar10", "owner/name-1.5", "org/data.v2", "imagenet-1k")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with `data/my_image/`, `net/` and a file."""
    (tmp_path / "data" / "my_image").mkdir(parents=True)
    (tmp_path / "net").mkdir()
    (tmp_path / "notes.txt").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", PATHS)
def test_a_path_is_never_asked_of_the_hub(name: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object, **__: object) -> None:
        raise AssertionError("the Hub was asked")

    for client in ("domains.hub_datasets", "zoo.hub_files"):
        monkeypatch.setattr(f"hf_sslgen.{client}.HfApi", asked)
        monkeypatch.setattr(f"hf_sslgen.{client}.snapshot_download", asked)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    assert path_refusal(name)
    for load in (lambda: load_domain(DomainArguments(name)), lambda: load_backbone(name, ("a", "b"))):
        with pytest.raises(InputError) as refused:
            load()
        message = str(refused.value)
        assert repr(name) in message
        assert "\n" not in message
        assert not any(words in message for words in ("connection", "cache", "huggingface.co"))


@pytest.mark.parametrize("name", IDS)
def test_an_id_may_be_asked_for(name: str, here: Path) -> None:
    assert path_refusal(name) == ""


def test_what_is_there_instead_is_named(here: Path) -> None:
    assert path_refusal("data/my_images").startswith(
        "there is no such folder or file; in 'data': did you mean 'my_image'?; the Hub is not asked, because 'data' is"
    )
    assert path_refusal("./date/my_images") == (
        "there is no such folder or file; 'date' does not exist either: did you mean 'data'?"
    )
    assert path_refusal("~/data") == f"~ is not expanded; give the path as {str(here / 'data')!r}"
    with pytest.raises(
        InputError, match=r"'net/vit' is not a checkpoint folder: .*; write hf-hub:net/vit for the Hub's"
    ):
        load_backbone("net/vit", ("a", "b"))
