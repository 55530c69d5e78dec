"""Fine-tune in this process's share of the work and write down which samples it saw.

torchrun --nproc_per_node 2 two_process_worker.py BACKBONE OUTPUT_DIR
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.training.evaluation import Predictions
from hf_sslgen.training.finetuning_arguments import FineTuningArguments, ModelArguments
from hf_sslgen.training.picture_cache import DecodedPictures, PictureSpace
from hf_sslgen.training.trainer_setup import build_trainer
from hf_sslgen.zoo.backbone_loading import load_backbone


def main(location: str, output_dir: Path, batch_size: int) -> None:
    """One epoch on 200 digits; evaluation on 101, which two processes cannot share evenly."""
    domain = load_domain(DomainArguments("digits", samples_per_class=20, max_test_samples=101))
    backbone = load_backbone(location, domain.class_names)
    arguments = FineTuningArguments(
        output_dir=str(output_dir / "run"),
        per_device_train_batch_size=batch_size,
        per_device_eval_batch_size=16,
        num_train_epochs=2,
        learning_rate=3e-3,
        use_cpu=True,
        disable_tqdm=True,
        eval_strategy="no",
        save_strategy="no",
        load_best_model_at_end=False,
    )
    pictures = DecodedPictures(PictureSpace(200_000, 100_000), output_dir)  # too little for all 470 kB
    trainer = build_trainer(backbone, domain, ModelArguments(location), arguments, pictures=pictures)
    seen: list[list[int]] = [[], []]
    compute_loss = trainer.compute_loss

    def recording_loss(model, inputs, **options):
        if model.training:
            seen[int(trainer.state.epoch or 0)] += inputs["sample_ids"].tolist()
        return compute_loss(model, inputs, **options)

    trainer.compute_loss = recording_loss
    trainer.train()
    output = trainer.predict(type(trainer.eval_dataset)(domain.test, backbone.preprocessing.geometry))
    predictions = Predictions.from_evaluation(output.predictions, output.label_ids)
    weights = torch.cat([p.detach().flatten() for p in backbone.model.parameters()])
    result = {
        "seen": seen,
        "train_ids": domain.train.sample_ids.tolist(),
        "test_ids": domain.test.sample_ids.tolist(),
        "evaluated": predictions.sample_ids.tolist(),
        "accuracy": float(np.mean(predictions.correct)),
        "weight_norm": float(weights.norm()),
    }
    (output_dir / f"rank{arguments.process_index}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
