"""A user's process that streams domains: an order on standard input, an answer on standard output, a JSON line each.

An order has `arguments` (of `DomainArguments`), `passes` over the training split, `token`, `registry` (the content of
one to use instead of ours) and `wait_for`, whether a line on standard input is to come before the first pass. All
pauses are 50 times as short as they would be.
"""

import io
import json
import logging
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from huggingface_hub import HfFileSystem

from hf_sslgen.decoding import encoded_bytes
from hf_sslgen.domains import domain_registry
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.splits import content_id
from hf_sslgen.errors import SslgenError

_sleep = time.sleep


def _ids(split: ImageSplit) -> list[int]:
    return [content_id(encoded_bytes(split.encoded(position), "picture")) for position in range(len(split))]


def _carry_out(order: dict[str, Any]) -> dict[str, Any]:
    os.environ.pop("HF_TOKEN", None)
    if order["token"] is not None:
        os.environ["HF_TOKEN"] = order["token"]
    HfFileSystem.clear_instance_cache()
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(order["registry"])
        file.flush()
        rows = domain_registry.read_registry(Path(file.name) if order["registry"] else domain_registry.REGISTRY_FILE)
    domain_registry._registry = lambda: rows
    answer: dict[str, Any] = {"passes": []}
    try:
        domain = load_domain(DomainArguments(**order["arguments"]))
        answer |= {"class_names": domain.class_names, "found": str(domain.found), "notes": domain.notes}
        for role, split in (("validation", domain.validation), ("test", domain.test)):
            answer[role] = {"ids": _ids(split), "rows": split.sample_ids.tolist(), "labels": split.labels.tolist()}
            answer[role]["fingerprint"] = split.fingerprint()
        if order["wait_for"]:
            print("waiting", flush=True)
            sys.stdin.readline()
        if isinstance(domain.train, ImageSplit):
            answer["passes"] = [list(zip(_ids(domain.train), domain.train.labels.tolist(), strict=True))]
            return answer
        answer["train"] = domain.train.fingerprint()
        for epoch in range(order["passes"]):
            answer["passes"].append([])
            for each in domain.train.one_pass(epoch):
                assert each.image.size == (48, 48)
                answer["passes"][-1].append((each.sample_id, each.label))
    except SslgenError as error:
        answer["error"] = str(error)
    return answer


def main() -> None:
    """Until the orders end."""
    time.sleep = lambda seconds: _sleep(seconds / 50)
    for line in iter(sys.stdin.readline, ""):
        said = io.StringIO()
        handler = logging.StreamHandler(said)
        logging.getLogger().addHandler(handler)
        answer = _carry_out(json.loads(line))
        logging.getLogger().removeHandler(handler)
        answer["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps(answer | {"log": said.getvalue()}), flush=True)


if __name__ == "__main__":
    main()
