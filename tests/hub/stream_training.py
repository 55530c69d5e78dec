"""Run alone or by torchrun: fine-tune on a streamed domain and write down which images were seen.

torchrun --nproc_per_node 2 stream_training.py DATASET BACKBONE OUTPUT_DIR BATCH_SIZE WORKERS...

One training for each number of workers, the numbers behind one another in `rank0.json`.
"""

import json
import sys
from pathlib import Path

from hf_sslgen.decoding import encoded_bytes
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import Domain, load_domain
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.splits import content_id
from hf_sslgen.training.evaluation import Predictions
from hf_sslgen.training.finetuning_arguments import FineTuningArguments, ModelArguments
from hf_sslgen.training.trainer_setup import build_trainer
from hf_sslgen.zoo.backbone_loading import load_backbone

STEPS = 22


def _content(split: ImageSplit, rows: list[int]) -> list[int]:
    return [content_id(encoded_bytes(split.dataset[row]["image"], "picture")) for row in rows]


def train(domain: Domain, location: str, output_dir: Path, batch_size: int, workers: int) -> dict[str, list[int]]:
    """Content ids of the training images in the order in which this process saw them, and of those it evaluated."""
    backbone = load_backbone(location, domain.class_names)
    arguments = FineTuningArguments(
        output_dir=str(output_dir / f"run-{workers}"),
        per_device_train_batch_size=batch_size,
        per_device_eval_batch_size=4,
        max_steps=STEPS,
        use_cpu=True,
        disable_tqdm=True,
        eval_strategy="no",
        save_strategy="no",
        load_best_model_at_end=False,
        dataloader_num_workers=workers,
    )
    trainer = build_trainer(backbone, domain, ModelArguments(location), arguments)
    seen: list[int] = []
    compute_loss = trainer.compute_loss

    def recording_loss(model, inputs, **options):
        if model.training:
            seen.extend(inputs["sample_ids"].tolist())
        return compute_loss(model, inputs, **options)

    trainer.compute_loss = recording_loss
    trainer.train()
    found = {"seen": seen}
    for role, split in (("validation", domain.validation), ("test", domain.test)):
        output = trainer.predict(type(trainer.eval_dataset)(split, backbone.preprocessing.geometry))
        rows = Predictions.from_evaluation(output.predictions, output.label_ids).sample_ids.tolist()
        found[role] = _content(split, rows)
    return found


def main(dataset: str, location: str, output_dir: Path, batch_size: int, workers: list[int]) -> None:
    domain = load_domain(DomainArguments(dataset, streaming=True, shuffle_buffer_size=6))
    found = [train(domain, location, output_dir, batch_size, each) for each in workers]
    rank = FineTuningArguments(use_cpu=True).process_index
    (output_dir / f"rank{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), [int(each) for each in sys.argv[5:]])
