"""Converted backbones go to an organisation, as far as their licences permit, and load from there by name."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from script_runs import run_script
from small_zoo import SMALL_SET, put_converted, use_small_zoo

from hf_sslgen.hub_access.retries import RetryPolicy
from hf_sslgen.zoo import backbone_registry
from hf_sslgen.zoo.backbone_loading import load_backbone
from hf_sslgen.zoo.converted_rows import converted_root
from hf_sslgen.zoo.locations import resolve_location
from tests.loopback_hub import ROLES, Hub

SCRIPT = Path(__file__).parents[2] / "scripts" / "publish_zoo.py"

Publish = Callable[..., tuple[int, str, str]]


@pytest.fixture
def publish(
    hub_in_process: Hub,
    small_backbones: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Publish:
    """The script in this process; small-supervised may be passed on, small-simclr states no licence, and small-byol's
    forbids it. All are converted."""
    use_small_zoo(tmp_path, monkeypatch, 32, {"licence": "mit"})
    rows = dict(backbone_registry._rows())
    rows["small-simclr"] = replace(rows["small-simclr"], licence=None)
    rows["small-byol"] = replace(rows["small-byol"], licence="cc-by-nc-nd-4.0")
    the_set = replace(backbone_registry.twin_sets()[SMALL_SET], backbones=tuple(rows.values()))
    monkeypatch.setattr(backbone_registry, "_rows", lambda: rows)
    monkeypatch.setattr("hf_sslgen.hub.zoo_push.twin_sets", lambda: {SMALL_SET: the_set})
    for name in rows:
        put_converted(name, small_backbones["timm_resnet"])
        (converted_root() / name / "README.md").write_text(f"---\nlicense: mit\n---\n# {name}\n", encoding="utf-8")
    monkeypatch.setattr("hf_sslgen.hub_access.retries.POLICY", RetryPolicy(waits=(0.01, 0.02)))
    monkeypatch.setenv("HF_TOKEN", ROLES["owner"].token)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *words])
        ended = run_script(SCRIPT, capfd)
        return ended.code, ended.out, ended.err

    return run


def test_a_licence_decides_what_is_pushed(publish: Publish, api: HfApi) -> None:
    code, out, _ = publish("--organization", "org", "--set", SMALL_SET)
    assert code == 0
    lines = {line.split("] ")[1].split(":")[0]: line for line in out.splitlines() if line.startswith("[")}
    assert ": pushed (" in lines["small-supervised"]
    assert "left out (its publisher states no licence; `--names small-simclr`" in lines["small-simclr"]
    assert "left out (cc-by-nc-nd-4.0 forbids" in lines["small-byol"]
    assert not api.repo_exists("org/small-simclr")
    assert not api.repo_exists("org/small-byol")
    files = set(api.list_repo_files("org/small-supervised"))
    assert files - {".gitattributes"} == {"README.md", "config.json", "model.safetensors"}

    commits = len(api.list_repo_commits("org/small-supervised"))
    code, out, _ = publish("--organization", "org", "--set", SMALL_SET, "--names", "small-simclr")
    assert code == 0
    assert "small-supervised: unchanged" in out
    assert "small-simclr: pushed" in out
    assert len(api.list_repo_commits("org/small-supervised")) == commits


def test_a_failure_does_not_stop_the_others(publish: Publish, hub: Hub, api: HfApi) -> None:
    hub.fail("status", "org/small-simclr/commit/", status=403, times=100)
    names = ("--names", "small-simclr", "small-byol")
    code, out, error = publish("--organization", "org", *names)
    assert code == 2
    assert "small-simclr: failed" in out
    assert "small-byol: pushed" in out
    assert "1 of 2 backbones could not be pushed (small-simclr)" in error


def test_a_pushed_backbone_loads_by_name(
    publish: Publish, monkeypatch: pytest.MonkeyPatch, small_backbones: dict[str, str]
) -> None:
    assert publish("--organization", "org", "--names", "small-byol")[0] == 0
    shutil.rmtree(converted_root())
    monkeypatch.setenv("HF_SSLGEN_ZOO_ORGANIZATION", "org")
    assert resolve_location("small-byol") == "org/small-byol"
    loaded = load_backbone("small-byol", ("a", "b"), match="none")
    original = load_backbone(small_backbones["timm_resnet"], ("a", "b"), match="none")
    assert loaded.num_parameters == original.num_parameters
    name, weight = next(iter(original.model.state_dict().items()))
    assert (loaded.model.state_dict()[name] == weight).all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--organization", "a/b"], "organization 'a/b' must be the name"),
        (["--organization", "org", "--set", "smal-set"], "set 'smal-set' is not a twin set"),
        (["--organization", "org", "--names", "nothing"], "name 'nothing' is not a registered backbone"),
    ],
)
def test_wrong_names_are_refused(words: list[str], said: str, publish: Publish) -> None:
    code, _, error = publish(*words)
    assert code == 2
    assert said in error
