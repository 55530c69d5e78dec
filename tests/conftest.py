"""Shared fixtures: small real networks, folders of real pictures, a small domain.

Nothing here accesses the network: the Hub is offline, and Hugging Face's libraries use a temporary cache folder. Both
must be set before any of these libraries is imported.
"""

import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import warm_python
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from hf_sslgen.study.inference.study_results import StudyResults
    from tests.loopback_hub import Hub

HF_HOME = Path(tempfile.mkdtemp(prefix="hf-sslgen-tests-"))
os.environ["HF_HOME"] = str(HF_HOME)
os.environ["HF_HUB_OFFLINE"] = "1"
for name in ("HF_HUB_CACHE", "HF_DATASETS_CACHE", "HF_MODULES_CACHE"):
    os.environ.pop(name, None)

# A slow example must not fail a test.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

SMALL_SIDE = 32
"""Side in pixels of the small networks' input."""

SMALL_HEAD = 7
"""Number of classes of the two `transformers_*` checkpoints' heads; the `timm_*` ones have no head."""

EMBEDDED = Path(__file__).parents[1] / "hf_sslgen" / "domains" / "embedded"
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
HALF = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}


def pytest_unconfigure() -> None:
    warm_python.end()
    shutil.rmtree(HF_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real datasets beside the checkout; tests that need it are skipped if it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no folder of shared datasets at {SHARED_DATA}")
    return SHARED_DATA


def _write_timm(folder: Path, architecture: str, model_args: dict[str, Any], preprocessing: dict[str, Any]) -> None:
    import timm

    from hf_sslgen.zoo.timm_folder import write_timm_folder

    network = timm.create_model(architecture, pretrained=False, num_classes=0, **model_args)
    pretrained_cfg = {
        key: network.pretrained_cfg[key] for key in ("first_conv", "classifier", "pool_size") if network.pretrained_cfg
    }
    pretrained_cfg |= {"input_size": [3, SMALL_SIDE, SMALL_SIDE], **preprocessing}
    write_timm_folder(folder, network.state_dict(), architecture, network.num_features, model_args, pretrained_cfg)


def _write_transformers_resnet(folder: Path) -> None:
    from transformers import ConvNextImageProcessor, ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=SMALL_HEAD
    )
    ResNetForImageClassification(config).save_pretrained(folder)
    processor = ConvNextImageProcessor(
        size={"shortest_edge": SMALL_SIDE}, crop_pct=0.875, image_mean=IMAGENET["mean"], image_std=IMAGENET["std"]
    )
    processor.save_pretrained(folder)


def _write_transformers_vit(folder: Path) -> None:
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    config = ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=SMALL_SIDE,
        patch_size=8,
        num_labels=SMALL_HEAD,
    )
    ViTForImageClassification(config).save_pretrained(folder)
    processor = ViTImageProcessor(
        size={"height": SMALL_SIDE, "width": SMALL_SIDE}, image_mean=HALF["mean"], image_std=HALF["std"]
    )
    processor.save_pretrained(folder)


@pytest.fixture(scope="session")
def small_backbones(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders of four tiny networks in their published layouts: seeded random weights, 32 px input.

    `timm_resnet` (ImageNet's normalisation, crop 0.875, bicubic) and `timm_vit` (0.5, crop 0.9, bicubic; patches of
    8 px, a class token) have no head; `transformers_resnet` and `transformers_vit` have one of `SMALL_HEAD` classes.
    """
    import torch

    root = tmp_path_factory.mktemp("backbones")
    vit = {"img_size": SMALL_SIDE, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _write_timm(
            root / "timm_resnet",
            "resnet18",
            {"channels": [8, 16, 16, 32]},
            {**IMAGENET, "interpolation": "bicubic", "crop_pct": 0.875},
        )
        _write_timm(
            root / "timm_vit", "vit_tiny_patch16_224", vit, {**HALF, "interpolation": "bicubic", "crop_pct": 0.9}
        )
        _write_transformers_resnet(root / "transformers_resnet")
        _write_transformers_vit(root / "transformers_vit")
    return {folder.name: str(folder) for folder in sorted(root.iterdir())}


@pytest.fixture
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A factory of imagefolders with real pictures: `image_folder({"train": 4, "test": 2})`.

    The numbers are images per class; the pictures are PNG files from an embedded domain, named after their position in
    it, in the layout `split/class/picture.png` (without the split level for the key "").
    """
    import pyarrow.parquet as pq
    from datasets import Features

    def build(images_per_class: Mapping[str, int], domain: str = "photo-patches", num_classes: int = 3) -> Path:
        table = pq.read_table(EMBEDDED / domain / "train.parquet")
        names = Features.from_arrow_schema(table.schema)["label"].names
        rows = list(enumerate(table.to_pylist()))
        root = tmp_path_factory.mktemp("imagefolder") / domain
        for label in range(num_classes):
            pictures = iter([(index, row["image"]["bytes"]) for index, row in rows if row["label"] == label])
            for split, count in images_per_class.items():
                folder = root / split / names[label]
                folder.mkdir(parents=True)
                for _ in range(count):
                    index, encoded = next(pictures)
                    (folder / f"{index:04d}.png").write_bytes(encoded)
        return root

    return build


@pytest.fixture
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], Path]]:
    """A factory of real file systems of a given size in bytes; returns the mount point."""
    mounted: list[Path] = []

    def mount(size: int) -> Path:
        folder = tmp_path_factory.mktemp("disk")
        if shutil.which("mount") is None:
            pytest.skip("no mount command")
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("mounting a small file system needs root")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # an error may still hold a file open


HOLDER = """
import sys, time
from pathlib import Path
from hf_sslgen.output_folder import claim_folder
claim_folder(Path(sys.argv[1]))
print("claimed", flush=True)
time.sleep(600)
"""


@pytest.fixture
def subprocess_that_holds() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Starts a process that claims an output folder like a running command; it is terminated after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(folder: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == "claimed\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def digits_domain() -> Any:
    """The embedded digits, loaded: 3 training images per class, 20 validation images, 40 test images."""
    from hf_sslgen.domains.domain_arguments import DomainArguments
    from hf_sslgen.domains.domain_loading import load_domain

    return load_domain(DomainArguments("digits", samples_per_class=3, max_eval_samples=20, max_test_samples=40))


@pytest.fixture(scope="session")
def study_content(small_backbones: dict[str, str]) -> Callable[..., dict[str, Any]]:
    """A factory of a study file's content: two small networks on 30 digits, both seeds, six cells.

    Keywords replace keys.
    """

    def content(**changes: Any) -> dict[str, Any]:
        backbones = [
            {
                "location": small_backbones["timm_resnet"],
                "name": "resnet",
                "objective": "supervised",
                "source": "noise",
            },
            {"location": small_backbones["timm_vit"], "name": "vit", "objective": "simclr", "source": "noise"},
        ]
        sizes = {"max_train_samples": 30, "max_eval_samples": 20, "max_test_samples": 30}
        return {
            "title": "Small",
            "backbones": backbones,
            "untrained_control": False,
            "domains": [{"dataset_name": "digits", **sizes}],
            "protocols": ["linear"],
            "seeds": [0, 1],
            "analysis": {"max_subset": 10, "num_examples": 2, "batch_size": 20},
            "geometry": {"image_size": SMALL_SIDE},
            "num_threads": 1,
            **changes,
        }

    return content


@pytest.fixture
def study_file(study_content: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., Path]:
    """Writes such a study; returns the file."""

    def write(name: str = "study.yaml", **changes: Any) -> Path:
        path = tmp_path / name
        path.write_text(json.dumps(study_content(**changes)), encoding="utf-8")  # JSON is YAML
        return path

    return write


@pytest.fixture(scope="session")
def large_results(tmp_path_factory: pytest.TempPathFactory) -> "StudyResults":
    """Synthetic cells of two objectives under five settings on three domains of each group, and their differences.

    Made once for all of xdist's workers, because it takes long.
    """
    from fake_study import build_large_study
    from filelock import FileLock

    from hf_sslgen.study.inference.study_results import infer

    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    made = shared / "large_results.pickle"
    with FileLock(shared / "large_results.lock"):
        if not made.exists():
            results = infer(build_large_study(Path(tempfile.mkdtemp(dir=shared)), domains_per_group=3))
            made.write_bytes(pickle.dumps(results))
        return pickle.loads(made.read_bytes())


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Hub]":
    """An empty Hub on loopback, started; for subprocesses that run in `hub.environment(role)`."""
    from tests.loopback_hub import Hub

    with Hub(tmp_path_factory.mktemp("hub")) as started:
        yield started


@pytest.fixture
def hub_in_process(hub: "Hub", monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Hub":
    """The same, for `hub.api(role)` in this process: huggingface_hub is put online for the test, with a fresh cache.

    Only clients that are given the endpoint work here: transformers, timm, datasets and evaluate read HF_ENDPOINT when
    they are imported, and need a subprocess.
    """
    from huggingface_hub import close_session, constants

    from tests.loopback_hub import HUB_PATIENCE

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
        monkeypatch.setattr(constants, name, HUB_PATIENCE)
    for name in ("HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS"):
        monkeypatch.setattr(constants, name, True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    close_session()  # the client keeps the proxies from its first use
    return hub
