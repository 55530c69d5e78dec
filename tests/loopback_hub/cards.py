"""Metadata at the top of README.md: read, and checked by the rules of the Hub that matter here."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

SPACE_SDKS = ("gradio", "streamlit", "docker", "static")
COLORS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
REPOSITORY_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")

LICENSES = (
    *("apache-2.0", "mit", "openrail", "bigscience-openrail-m", "creativeml-openrail-m", "bigscience-bloom-rail-1.0"),
    *("bigcode-openrail-m", "afl-3.0", "artistic-2.0", "bsl-1.0", "bsd", "bsd-2-clause", "bsd-3-clause", "0bsd"),
    *("bsd-3-clause-clear", "c-uda", "cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0"),
    *("cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0"),
    *("cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"),
    *("cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "wtfpl", "ecl-2.0", "epl-1.0", "epl-2.0"),
    *("etalab-2.0", "eupl-1.1", "eupl-1.2", "agpl-3.0", "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-2.1"),
    *("lgpl-3.0", "isc", "h-research", "intel-research", "lppl-1.3c", "ms-pl", "apple-ascl", "apple-amlr", "mpl-2.0"),
    *("odc-by", "odbl", "open-mdw", "openmdw-1.0", "openrail++", "osl-3.0", "postgresql", "ofl-1.1", "ncsa"),
    *("unlicense", "zlib", "pddl", "lgpl-lr", "deepfloyd-if-license", "fair-noncommercial-research-license"),
    *("llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4", "grok2-community", "gemma", "unknown"),
    "other",
)


class _Loader(yaml.SafeLoader):
    """Refuses a key that a mapping has twice, as the Hub does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"duplicated mapping key: {key}", node.start_mark)
        return super().construct_mapping(node, deep)


def _block(content: str) -> str | None:
    found = re.match(r"\ufeff?---[ \t]*\r?\n(.*?)(?:\r?\n)?---[ \t]*(?:\r?\n|$)", content, re.DOTALL)
    return None if found is None else found.group(1)


def front_matter(content: str) -> dict[str, Any]:
    """A card's metadata; empty where there is none or it can't be read."""
    try:
        found = yaml.safe_load(_block(content) or "")
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def tags(card: Mapping[str, Any]) -> list[str]:
    """Those of the card and those that the Hub makes of its other fields."""
    own = card.get("tags")
    found = [str(tag) for tag in own] if isinstance(own, list) else []
    found += [str(card[key]) for key in ("library_name", "pipeline_tag") if card.get(key)]
    return list(dict.fromkeys(found + ([f"license:{card['license']}"] if card.get("license") else [])))


def evaluation_results(path: str, content: str) -> list[dict[str, Any]]:
    """Entries of a file in .eval_results, each with its file's name; a file that breaks the rules is one error."""
    try:
        entries = yaml.safe_load(content)
    except yaml.YAMLError as error:
        return [{"filename": path, "error": str(error)}]
    if not isinstance(entries, list):
        return [{"filename": path, "error": "must be a list"}]
    for entry in entries:
        dataset = entry.get("dataset") if isinstance(entry, dict) else None
        if not isinstance(dataset, dict) or not {"id", "task_id"} <= set(dataset) or "value" not in entry:
            return [{"filename": path, "error": "an entry needs dataset.id, dataset.task_id and value"}]
    return [{"filename": path, "data": entry} for entry in entries]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _model_index_errors(index: Any) -> list[str]:
    if not isinstance(index, list):
        return ['"model-index" must be an array']
    errors = []
    for i, model in enumerate(index):
        where = f"model-index[{i}]"
        if not isinstance(model, dict) or not isinstance(model.get("name"), str):
            errors.append(f'"{where}.name" is required')
            continue
        for j, result in enumerate(_listed(model.get("results") or [])):
            inside = f"{where}.results[{j}]"
            for key, field in (("task", "type"), ("dataset", "name"), ("dataset", "type")):
                if not isinstance(result.get(key), dict) or not isinstance(result[key].get(field), str):
                    errors.append(f'"{inside}.{key}.{field}" is required')
            measured = result.get("metrics")
            if not isinstance(measured, list) or not measured:
                errors.append(f'"{inside}.metrics" is required')
                continue
            for k, metric in enumerate(measured):
                if not isinstance(metric, dict) or not isinstance(metric.get("type"), str) or "value" not in metric:
                    errors.append(f'"{inside}.metrics[{k}]" needs "type" and "value"')
    return errors


def _field_errors(card: Mapping[str, Any]) -> list[str]:
    errors = []
    for license_name in _listed(card.get("license", [])):
        if license_name not in LICENSES:
            errors.append(f'"license" must be one of [{", ".join(LICENSES)}]')
    for key in ("tags", "metrics", "datasets", "language", "base_model"):
        if key not in card:
            continue
        if key in ("tags", "metrics") and not isinstance(card[key], list):
            errors.append(f'"{key}" must be an array')
        for i, value in enumerate(_listed(card[key])):
            if not isinstance(value, str):
                errors.append(f'"{key}[{i}]" must be a string')
            elif key in ("datasets", "base_model") and not REPOSITORY_NAME.fullmatch(value):
                errors.append(f'"{key}[{i}]" with value "{value}" is not valid: not the name of a repository')
            elif key == "language" and value != value.lower():
                errors.append(f'"language[{i}]" must only contain lowercase characters')
    for key in ("pipeline_tag", "library_name", "license_name", "license_link", "title"):
        if key in card and not isinstance(card[key], str):
            errors.append(f'"{key}" must be a string')
    if "model-index" in card:
        errors += _model_index_errors(card["model-index"])
    return errors


def _space_errors(card: Mapping[str, Any]) -> list[str]:
    errors = []
    if card.get("sdk") not in SPACE_SDKS:
        errors.append(f'"sdk" must be one of [{", ".join(SPACE_SDKS)}]')
    for key in ("colorFrom", "colorTo"):
        if key in card and card[key] not in COLORS:
            errors.append(f'"{key}" must be one of [{", ".join(COLORS)}]')
    if len(str(card.get("short_description", ""))) > 60:
        errors.append('"short_description" length must be less than or equal to 60 characters long')
    return errors


def validate(content: str, repo_type: str) -> tuple[list[str], list[str]]:
    """Errors and warnings about a README.md; the Hub refuses a commit for the first."""
    block = _block(content)
    if block is None or not block.strip():
        return [], ["empty or missing yaml metadata in repo card"]
    try:
        card = yaml.load(block, _Loader)
    except yaml.YAMLError as error:
        return [f"YAML metadata can't be read: {error}"], []
    if not isinstance(card, dict):
        return ["YAML metadata must be a mapping"], []
    errors = _field_errors(card) + (_space_errors(card) if repo_type == "space" else [])
    return errors, []
