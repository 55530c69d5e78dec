"""The dataclasses that each command's settings are read into."""

from typing import Any

from hf_sslgen.commands.analyze import AnalyzeArguments
from hf_sslgen.commands.compare import CompareArguments
from hf_sslgen.commands.convert import ConvertArguments
from hf_sslgen.commands.demo import DemoArguments
from hf_sslgen.commands.pretrain import PretrainArguments
from hf_sslgen.commands.push_study import PushStudyArguments
from hf_sslgen.commands.study import StudyArguments
from hf_sslgen.domains.domain_arguments import DomainArguments, SharedDomainArguments
from hf_sslgen.hub.push_arguments import HubArguments
from hf_sslgen.training.finetuning_arguments import FineTuningArguments, ModelArguments

COMMANDS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "finetune": (
        (ModelArguments, DomainArguments, FineTuningArguments, HubArguments),
        {"model_name_or_path": "x", "dataset_name": "y", "use_cpu": True},
    ),
    "analyze": (
        (AnalyzeArguments, DomainArguments),
        {"model_name_or_path": "x", "dataset_name": "y", "output_dir": "z"},
    ),
    "pretrain": (
        (PretrainArguments, DomainArguments),
        {"objective": "simclr", "dataset_name": "y", "output_dir": "z"},
    ),
    "compare": (
        (CompareArguments, SharedDomainArguments),
        {"dataset_name": ["y"], "twin_set": "x", "output_dir": "z"},
    ),
    "study": ((StudyArguments,), {"study": "x", "output_dir": "z"}),
    "push-study": ((PushStudyArguments,), {"study_dir": "x", "repository": "a/b"}),
    "convert": ((ConvertArguments,), {"checkpoint": "x"}),
    "demo": ((DemoArguments,), {}),
}
"""The dataclasses that each command reads, and its required arguments."""
