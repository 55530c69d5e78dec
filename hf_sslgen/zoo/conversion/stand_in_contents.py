"""What a published file holds around a trunk, in each layout: wrappers, heads, copies and the state of training."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch

from hf_sslgen.zoo.conversion.haiku_pickle import byol_pickle
from hf_sslgen.zoo.conversion.stand_in_names import (
    mmpretrain_names,
    obow_names,
    simclr_v2_names,
    transformers_names,
)

State = dict[str, torch.Tensor]

HIDDEN: Final = 8
"""Channels of heads."""

CLASSES: Final = 10


def under(prefix: str, state: Mapping[str, torch.Tensor]) -> State:
    """Return a state with a prefix before every key."""
    return {f"{prefix}{key}": tensor for key, tensor in state.items()}


def momentum_copy(state: Mapping[str, torch.Tensor]) -> State:
    """Return a state near another one, as of a momentum encoder."""
    return {
        key: tensor * 0.9 if tensor.is_floating_point() else tensor.clone()  # no variance becomes negative
        for key, tensor in state.items()
    }


def is_vit(trunk: State) -> bool:
    return "pos_embed" in trunk


def features(trunk: State) -> int:
    """Channels of a trunk's output."""
    return trunk["norm.weight" if is_vit(trunk) else "layer4.0.bn3.weight"].shape[0]


def linear(name: str, inputs: int, outputs: int = HIDDEN) -> State:
    return {f"{name}.weight": 0.1 * torch.randn(outputs, inputs), f"{name}.bias": torch.zeros(outputs)}


def batch_norm(name: str, channels: int = HIDDEN) -> State:
    return {
        f"{name}.weight": torch.ones(channels),
        f"{name}.bias": torch.zeros(channels),
        f"{name}.running_mean": torch.zeros(channels),
        f"{name}.running_var": torch.ones(channels),
        f"{name}.num_batches_tracked": torch.tensor(100),
    }


def head(name: str, trunk: State) -> State:
    """A head of two linear layers, the first with batch normalisation."""
    return linear(f"{name}.0", features(trunk)) | batch_norm(f"{name}.1") | linear(f"{name}.3", HIDDEN)


def classifier(name: str, trunk: State) -> State:
    return linear(name, features(trunk), CLASSES)


def sgd_state(parameters: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """The state of an SGD optimiser with momentum, of the first parameters only, which keeps files small."""
    first = list(parameters.values())[:3]
    return {
        "state": {index: {"momentum_buffer": torch.zeros_like(each)} for index, each in enumerate(first)},
        "param_groups": [{"lr": 0.03, "momentum": 0.9, "params": list(range(len(first)))}],
    }


def _supervised(trunk: State) -> Any:
    return trunk | classifier("head" if is_vit(trunk) else "fc", trunk)


def _swav(trunk: State) -> Any:
    prototypes = {"prototypes.weight": torch.randn(CLASSES, HIDDEN)}
    return under("module.", trunk | head("projection_head", trunk) | prototypes)


def _moco(trunk: State) -> Any:
    encoder = trunk | linear("fc.0", features(trunk)) | linear("fc.2", HIDDEN)
    queue = {"module.queue": torch.randn(HIDDEN, 32), "module.queue_ptr": torch.zeros(1, dtype=torch.int64)}
    state = under("module.encoder_q.", encoder) | under("module.encoder_k.", momentum_copy(encoder)) | queue
    return {"epoch": 200, "arch": "resnet50", "state_dict": state, "optimizer": sgd_state(encoder)}


def _moco_v3(trunk: State) -> Any:
    encoder = trunk | head("head" if is_vit(trunk) else "fc", trunk)
    predictor = linear("module.predictor.0", HIDDEN) | batch_norm("module.predictor.1")
    copy = under("module.momentum_encoder.", momentum_copy(encoder))
    state = under("module.base_encoder.", encoder) | copy | predictor
    return {"epoch": 1000, "arch": "resnet50", "state_dict": state, "optimizer": sgd_state(encoder)}


def _simsiam(trunk: State) -> Any:
    encoder = under("module.encoder.", trunk | head("fc", trunk))
    state = encoder | linear("module.predictor.0", HIDDEN) | linear("module.predictor.3", HIDDEN)
    return {"epoch": 100, "arch": "resnet50", "state_dict": state, "optimizer": sgd_state(encoder)}


def _pycontrast(trunk: State) -> Any:
    heads = linear("module.head.0", features(trunk)) | linear("module.head.2", HIDDEN)
    jigsaw = linear("module.head_jig.fc1", features(trunk)) | linear("module.head_jig.fc2", 9 * HIDDEN)
    return {"model": under("module.encoder.", trunk) | heads | jigsaw, "epoch": 800}


def _barlow_twins(trunk: State) -> Any:
    state = under("module.backbone.", trunk) | head("module.projector", trunk) | batch_norm("module.bn")
    return {"epoch": 1000, "model": state, "optimizer": sgd_state(state)}


def _self_distilled(loss: str) -> Callable[[State], Any]:
    def content(trunk: State) -> Any:
        masked = {"backbone.masked_embed": torch.zeros(1, features(trunk))} if loss == "ibot_loss" else {}
        heads = linear("head.mlp.0", features(trunk)) | {"head.last_layer.weight_v": torch.randn(CLASSES, HIDDEN)}
        teacher = under("backbone.", trunk) | heads
        student = under("module.", momentum_copy(teacher) | masked)
        losses = {"center": torch.zeros(1, CLASSES)}
        return {
            "student": student,
            "teacher": teacher if is_vit(trunk) else under("module.", teacher),
            "optimizer": sgd_state(student),
            "epoch": 800,
            loss: losses,
        }

    return content


def _dino_student(trunk: State) -> Any:
    content = _self_distilled("dino_loss")(trunk)
    teacher = content["teacher"]
    student = {f"module.{key.removeprefix('module.')}": value for key, value in teacher.items()}
    return content | {"student": student, "teacher": momentum_copy(teacher)}


def _mae(trunk: State) -> Any:
    decoder = linear("decoder_embed", features(trunk)) | linear("decoder_pred", HIDDEN)
    positions = {"decoder_pos_embed": torch.zeros(1, 17, HIDDEN), "mask_token": torch.zeros(1, 1, HIDDEN)}
    return {"model": trunk | decoder | positions}


def _ijepa(trunk: State) -> Any:
    return {
        "encoder": under("module.", momentum_copy(trunk)),
        "predictor": linear("module.predictor_embed", features(trunk)),
        "opt": sgd_state(trunk),
        "scaler": None,
        "target_encoder": under("module.", trunk),
        "epoch": 300,
        "loss": 0.2,
    }


def _obow(trunk: State) -> Any:
    return {"network": obow_names(trunk) | classifier("fc", trunk), "epoch": 200}


def _simclr_v1(trunk: State) -> Any:
    return {"state_dict": trunk | classifier("fc", trunk)}


def _simclr_v2(trunk: State) -> Any:
    return {"resnet": simclr_v2_names(trunk) | classifier("fc", trunk), "head": head("layers", trunk)}


def _vissl(trunk: State) -> Any:
    model = {"trunk": under("_feature_blocks.", trunk), "heads": linear("0.clf.0", features(trunk))}
    state = {"base_model": {"model": model, "meta": {}}, "optimizer": {"optim": sgd_state(trunk)}, "loss": {}}
    return {"phase": 799, "iteration": 1000, "classy_state_dict": state}


def _mmselfsup(trunk: State) -> Any:
    backbone = under("backbone.", mmpretrain_names(trunk) if is_vit(trunk) else trunk)
    neck = linear("neck.fc0", features(trunk)) | batch_norm("neck.bn0") | linear("head.predictor.fc0", HIDDEN)
    input_statistics = {"data_preprocessor.mean": torch.zeros(3, 1, 1), "data_preprocessor.std": torch.ones(3, 1, 1)}
    copy = under("momentum_encoder.module.0.", momentum_copy(trunk))
    return {"meta": {"epoch": 300}, "state_dict": input_statistics | backbone | neck | copy}


def _lightning(state: State) -> Any:
    return {
        "epoch": 99,
        "global_step": 500_400,
        "pytorch-lightning_version": "1.7.7",
        "state_dict": state,
        "loops": {},
        "callbacks": {},
        "optimizer_states": [sgd_state(state)],
        "lr_schedulers": [{"last_epoch": 100}],
        "hyper_parameters": {"batch_size_per_device": 128, "num_classes": 1000},
    }


def _solo_learn(trunk: State) -> Any:
    copy = under("momentum_backbone.", momentum_copy(trunk)) | head("momentum_projector", trunk)
    probe = classifier("classifier", trunk) | classifier("momentum_classifier", trunk)
    return _lightning(
        under("backbone.", trunk) | copy | probe | head("projector", trunk) | linear("predictor.0", HIDDEN)
    )


def _lightly(trunk: State) -> Any:
    name = "backbone.vit." if is_vit(trunk) else "backbone."
    mask = {"backbone.mask_token": torch.zeros(1, 1, features(trunk))} if is_vit(trunk) else {}
    untrained = classifier(f"{name}head", trunk) if is_vit(trunk) else {}
    copy = under(f"student_{name}", momentum_copy(trunk))
    heads = head("projection_head.layers", trunk) | head("student_projection_head.layers", trunk)
    probe = classifier("online_classifier.linear", trunk)
    loss = {"criterion.center": torch.zeros(1, CLASSES)}
    return _lightning(under(name, trunk) | untrained | mask | copy | heads | probe | loss)


def _transformers(trunk: State) -> Any:
    names = transformers_names(trunk)
    pooler = linear("pooler.dense", features(trunk), features(trunk)) if is_vit(trunk) else {}
    return names | pooler


CONTENTS: Final[Mapping[str, Callable[[State], Any]]] = {
    "plain": dict,
    "supervised": _supervised,
    "swav": _swav,
    "moco": _moco,
    "moco_v3": _moco_v3,
    "simsiam": _simsiam,
    "pycontrast": _pycontrast,
    "barlow_twins": _barlow_twins,
    "dino": _self_distilled("dino_loss"),
    "ibot": _self_distilled("ibot_loss"),
    "dino_student": _dino_student,
    "mae": _mae,
    "ijepa": _ijepa,
    "obow": _obow,
    "simclr_v1": _simclr_v1,
    "simclr_v2": _simclr_v2,
    "byol": byol_pickle,
    "vissl": _vissl,
    "mmselfsup": _mmselfsup,
    "solo_learn": _solo_learn,
    "lightly": _lightly,
    "transformers": _transformers,
}
"""What a file in each layout holds; bytes are the file itself. EfficientNets are left out, as none is small."""

VIT_ALONE: Final = frozenset({"ibot", "mae", "ijepa"})
"""Layouts in which only ViTs are published."""

VIT_TOO: Final = frozenset(
    {"plain", "supervised", "moco_v3", "dino", "dino_student", "mmselfsup", "solo_learn", "lightly", "transformers"}
)
"""Layouts in which ResNets and ViTs are published."""
