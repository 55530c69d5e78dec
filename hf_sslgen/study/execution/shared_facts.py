"""Facts by which cells are recognised, established by one process and shared with others through the study's folder.

Each is a small file that is written whole or not at all, and named after everything that the facts depend on: the
request, the signature of the files behind it, and the versions of the libraries that read them. Changed pictures or
weights thus lead to another file.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypeVar

from hf_sslgen.analysis.preflight.preflight_report import Finding, FindingKind, PreflightReport
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_facts import DomainFacts
from hf_sslgen.domains.sources import registered_entry
from hf_sslgen.file_signatures import Signature
from hf_sslgen.files import write_json
from hf_sslgen.geometry import Geometry
from hf_sslgen.preprocessing import Preprocessing
from hf_sslgen.study.prepared_cell import BackboneFacts
from hf_sslgen.work_claims import kept_alive, try_claim
from hf_sslgen.zoo.network_description import NetworkDescription

FACTS, CLAIMS = "facts", "claims"
"""Names of folders in a study's."""

PREFLIGHT_RULES = 1
"""Raised when a preflight judges otherwise than before."""

READERS = ("hf-sslgen", "datasets", "timm", "transformers")

Facts = TypeVar("Facts", DomainFacts, BackboneFacts, PreflightReport)
Read = TypeVar("Read", covariant=True)


@dataclass(frozen=True)
class DomainRequest:
    """A domain whose facts are wanted, with the signature of its data."""

    arguments: DomainArguments
    signature: Signature

    @property
    def name(self) -> str:
        asked = {key: value for key, value in dataclasses.asdict(self.arguments).items() if key != "group"}
        return f"domain-{_digest(self.signature, asked, str(registered_entry(self.arguments)))}"

    @staticmethod
    def read(content: dict[str, Any]) -> DomainFacts:
        """Read facts from JSON values."""
        return DomainFacts.from_json(content)


@dataclass(frozen=True)
class BackboneRequest:
    """A backbone whose facts are wanted, with the signature of its files; `seed` is 0 if its weights are published."""

    location: str
    seed: int
    geometry: Geometry | None
    signature: Signature

    @property
    def name(self) -> str:
        geometry = None if self.geometry is None else dataclasses.asdict(self.geometry)
        known = [each.name for each in dataclasses.fields(NetworkDescription)]  # earlier versions knew less
        return f"backbone-{_digest(self.signature, self.location, self.seed, geometry, known)}"

    @staticmethod
    def read(content: dict[str, Any]) -> BackboneFacts:
        """Read facts from JSON values."""
        pixels = content["preprocessing"]
        values = {**pixels, "geometry": Geometry(**pixels["geometry"])}
        values |= {key: tuple(pixels[key]) for key in ("mean", "std")}
        network = NetworkDescription(**content["network"])
        return BackboneFacts(**{**content, "preprocessing": Preprocessing(**values), "network": network})


@dataclass(frozen=True)
class PreflightRequest:
    """A backbone whose preflight is wanted."""

    backbone: BackboneRequest

    @property
    def signature(self) -> Signature:
        return self.backbone.signature

    @property
    def name(self) -> str:
        return f"preflight-{PREFLIGHT_RULES}-{self.backbone.name}"

    @staticmethod
    def read(content: dict[str, Any]) -> PreflightReport:
        """Read a report from JSON values."""
        findings = [Finding(**{**each, "kind": FindingKind(each["kind"])}) for each in content["findings"]]
        return PreflightReport(**{**content, "findings": tuple(findings)})


def _digest(signature: Signature, *asked: Any) -> str:
    text = json.dumps([signature.digest, _versions(), *asked], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@functools.cache
def _versions() -> list[str]:
    return [version(each) for each in READERS]


class Request(Protocol[Read]):
    """What facts depend on."""

    @property
    def signature(self) -> Signature: ...

    @property
    def name(self) -> str: ...

    def read(self, content: dict[str, Any], /) -> Read: ...


class EstablishedElsewhereError(Exception):
    """Another process is establishing these facts, so there is something else to do meanwhile."""


def find_facts(study: Path, request: Request[Facts]) -> Facts | None:
    """Return the facts that some process has established; None if there are none, or their file is damaged."""
    if not request.signature.is_final:
        return None
    try:
        stored = json.loads(_path(study, request.name).read_text(encoding="utf-8"))
        return request.read(stored["facts"]) if stored["sha256"] == _sha256(stored["facts"]) else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def share_facts(study: Path, request: Request[Facts], establish: Callable[[], Facts]) -> Facts:
    """Return facts as some process has established them; otherwise establish them for all.

    Facts about files whose signature is not final are established by each process for itself.

    Raises:
        EstablishedElsewhereError: another process is establishing them.
    """
    if not request.signature.is_final:
        return establish()
    found = find_facts(study, request)
    if found is not None:
        return found
    claim = try_claim(study / CLAIMS, request.name)
    if claim is None:
        raise EstablishedElsewhereError(request.name)
    with kept_alive(claim):
        found = find_facts(study, request) or establish()
        content = dataclasses.asdict(found)
        write_json(_path(study, request.name), {"facts": content, "sha256": _sha256(content)})
    return found


def _path(study: Path, name: str) -> Path:
    return study / FACTS / f"{name}.json"


def _sha256(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
