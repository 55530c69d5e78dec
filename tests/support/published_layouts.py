"""Trunks of timm in the layouts of published checkpoints, written by hand after the code that publishes them.

Nothing here knows how the package recognises a layout: a trunk's modules are listed in their order, and each layout
says how it names them and what it keeps around them.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import timm
import torch
from torch import nn

State = dict[str, torch.Tensor]

SIDE = 32
DEPTHS = (1, 2, 1, 1)

RESNET = {"layers": DEPTHS, "channels": (4, 4, 8, 8)}
VIT = {"img_size": SIDE, "patch_size": 16, "embed_dim": 16, "depth": 2, "num_heads": 1}


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every parameter and statistic of a network a value that no other has."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if not tensor.is_floating_point():
                tensor.fill_(7)
            elif name.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
            else:
                tensor.copy_(0.2 * torch.randn(tensor.shape, generator=generator))
    return network.eval()


def small_trunk(kind: str, layout: str = "", **more: Any) -> nn.Module:
    """A narrow `resnet` or `vit` of timm without a classifier, or a whole EfficientNet with one."""
    if kind == "efficientnet":
        return randomised(timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=5))
    if kind == "resnet":
        return randomised(timm.create_model("resnet50", pretrained=False, num_classes=0, **{**RESNET, **more}))
    if layout == "ijepa":
        more = {"class_token": False, "global_pool": "avg", "fc_norm": False, **more}
    return randomised(timm.create_model("vit_small_patch16_224", pretrained=False, num_classes=0, **{**VIT, **more}))


def resnet_modules(depths: tuple[int, ...]) -> Iterator[tuple[int, int, str]]:
    """Stage, block and name of each convolution and normalisation in the bottlenecks of a ResNet."""
    for stage, blocks in enumerate(depths, start=1):
        for block in range(blocks):
            for number in (1, 2, 3):
                yield stage, block, f"conv{number}"
                yield stage, block, f"bn{number}"
            if block == 0:
                yield stage, block, "downsample.0"
                yield stage, block, "downsample.1"


def of_module(trunk: State, old: str, new: str) -> State:
    """The tensors directly in a module, under another name."""
    return {
        f"{new}.{key.removeprefix(f'{old}.')}": each for key, each in trunk.items() if key.rpartition(".")[0] == old
    }


def depths_of(trunk: State) -> tuple[int, ...]:
    return tuple(
        len({key.split(".")[1] for key in trunk if key.startswith(f"layer{stage}.")}) for stage in range(1, 5)
    )


def renamed_resnet(trunk: State, stem: tuple[str, str], name: Callable[[int, int, str], str]) -> State:
    state = of_module(trunk, "conv1", stem[0]) | of_module(trunk, "bn1", stem[1])
    for stage, block, module in resnet_modules(depths_of(trunk)):
        state |= of_module(trunk, f"layer{stage}.{block}.{module}", name(stage, block, module))
    return state


def simclr_v2(trunk: State) -> State:
    inner = {
        "conv1": "net.0",
        "bn1": "net.1.0",
        "conv2": "net.2",
        "bn2": "net.3.0",
        "conv3": "net.4",
        "bn3": "net.5.0",
        "downsample.0": "projection.shortcut",
        "downsample.1": "projection.bn.0",
    }
    stem = ("net.0.0", "net.0.1.0")
    return renamed_resnet(trunk, stem, lambda stage, block, module: f"net.{stage}.blocks.{block}.{inner[module]}")


def obow_native(trunk: State) -> State:
    stem = ("_feature_blocks.0.0", "_feature_blocks.0.1")
    return renamed_resnet(trunk, stem, lambda stage, block, module: f"_feature_blocks.{stage}.{block}.{module}")


def sequential(trunk: State) -> State:
    """`nn.Sequential(*list(resnet.children())[:-1])`, whose children are conv1, bn1, relu, maxpool, layer1 ..."""
    return renamed_resnet(trunk, ("0", "1"), lambda stage, block, module: f"{stage + 3}.{block}.{module}")


def haiku(trunk: State) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and state of Haiku's ResNet-50."""
    inner = {"downsample.0": "shortcut_conv", "downsample.1": "shortcut_batchnorm"}
    inner |= {f"conv{number}": f"conv_{number - 1}" for number in (1, 2, 3)}
    inner |= {f"bn{number}": f"batchnorm_{number - 1}" for number in (1, 2, 3)}
    names = {"conv1": "res_net50/~/initial_conv", "bn1": "res_net50/~/initial_batchnorm"}
    for stage, block, module in resnet_modules(depths_of(trunk)):
        place = f"res_net50/~/block_group_{stage - 1}/~/block_{block}/~"
        names[f"layer{stage}.{block}.{module}"] = f"{place}/{inner[module]}"
    parameters: dict[str, Any] = {}
    state: dict[str, Any] = {}
    for module, name in names.items():
        weight = trunk[f"{module}.weight"].numpy()
        if weight.ndim == 4:
            parameters[name] = {"w": np.transpose(weight, (2, 3, 1, 0)).copy()}
            continue
        shape = (1, 1, 1, weight.size)
        parameters[name] = {"scale": weight.reshape(shape), "offset": trunk[f"{module}.bias"].numpy().reshape(shape)}
        for statistic, buffer in (("mean", "running_mean"), ("var", "running_var")):
            average = trunk[f"{module}.{buffer}"].numpy().reshape(shape)
            hidden = {"counter": np.array(9), "hidden": 0.5 * average, "average": average}
            state[f"{name}/~/{statistic}_ema"] = hidden
    return parameters, state


def mmpretrain_vit(trunk: State) -> State:
    state = {"cls_token": trunk["cls_token"], "pos_embed": trunk["pos_embed"]}
    state |= of_module(trunk, "patch_embed.proj", "patch_embed.projection") | of_module(trunk, "norm", "ln1")
    for block in dict.fromkeys(key.split(".")[1] for key in trunk if key.startswith("blocks.")):
        for old, new in (
            ("norm1", "ln1"),
            ("norm2", "ln2"),
            ("attn.qkv", "attn.qkv"),
            ("attn.proj", "attn.proj"),
            ("mlp.fc1", "ffn.layers.0.0"),
            ("mlp.fc2", "ffn.layers.1"),
        ):
            state |= of_module(trunk, f"blocks.{block}.{old}", f"layers.{block}.{new}")
    return state


def efficientnet(whole: State) -> State:
    state = of_module(whole, "conv_stem", "_conv_stem") | of_module(whole, "bn1", "_bn0")
    state |= of_module(whole, "conv_head", "_conv_head") | of_module(whole, "bn2", "_bn1")
    state |= of_module(whole, "classifier", "_fc")
    blocks = list(dict.fromkeys(".".join(key.split(".")[:3]) for key in whole if key.startswith("blocks.")))
    first = (("conv_dw", "_depthwise_conv"), ("bn1", "_bn1"), ("conv_pw", "_project_conv"), ("bn2", "_bn2"))
    others = (
        ("conv_pw", "_expand_conv"),
        ("bn1", "_bn0"),
        ("conv_dw", "_depthwise_conv"),
        ("bn2", "_bn1"),
        ("conv_pwl", "_project_conv"),
        ("bn3", "_bn2"),
    )
    for number, block in enumerate(blocks):
        for old, new in first if number == 0 else others:
            state |= of_module(whole, f"{block}.{old}", f"_blocks.{number}.{new}")
    return state


def under(prefix: str, state: State) -> State:
    return {prefix + key: tensor for key, tensor in state.items()}


def other(trunk: State) -> State:
    """Another network of the same shapes: a momentum encoder, a teacher or a student."""
    return {key: tensor + 1 if tensor.is_floating_point() else tensor for key, tensor in trunk.items()}


def layers(*names: str) -> State:
    """Linear layers of a head."""
    return {f"{name}.{end}": torch.full((6,) if end == "bias" else (6, 6), 0.1) for name in names for end in ENDS}


ENDS = ("weight", "bias")

OPTIMISER = {"state": {0: {"momentum_buffer": torch.ones(6)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}

LIGHTNING = {
    "epoch": 99,
    "global_step": 10,
    "pytorch-lightning_version": "2.1.0",
    "loops": {"fit_loop": {"state_dict": {}}},
    "callbacks": {"EarlyStopping": {"best_score": torch.tensor(0.5)}},
    "optimizer_states": [OPTIMISER],
    "lr_schedulers": [{"last_epoch": 3}],
    "hyper_parameters": {"lr": 0.1},
}


def _moco(trunk: State) -> Any:
    encoder = trunk | layers("fc.0", "fc.2")
    queue = {"module.queue": torch.ones(6, 8), "module.queue_ptr": torch.zeros(1, dtype=torch.int64)}
    state = under("module.encoder_q.", encoder) | under("module.encoder_k.", other(encoder)) | queue
    return {"epoch": 800, "arch": "resnet50", "state_dict": state, "optimizer": OPTIMISER}


def _moco_v3(head: str) -> Callable[[State], Any]:
    def content(trunk: State) -> Any:
        encoder = trunk | layers(f"{head}.0", f"{head}.3")
        copy = under("module.momentum_encoder.", other(encoder))  # first, so that it would be overwritten or overwrite
        state = copy | under("module.base_encoder.", encoder) | layers("module.predictor.0", "module.predictor.3")
        return {
            "epoch": 300,
            "arch": "vit_base",
            "state_dict": state,
            "optimizer": OPTIMISER,
            "scaler": {"scale": 1.0},
        }

    return content


def _self_distilled(loss: str, prefix: str) -> Callable[[State], Any]:
    def content(trunk: State) -> Any:
        teacher = under(f"{prefix}backbone.", trunk) | layers(f"{prefix}head.mlp.0", f"{prefix}head.last_layer")
        student = under("module.backbone.", other(trunk)) | layers("module.head.mlp.0")
        if loss == "ibot_loss":
            student["module.backbone.masked_embed"] = torch.zeros(1, 16)
        losses = {"center": torch.zeros(1, 6)}
        scaler = {"scale": 65536.0, "growth_factor": 2.0}
        return {
            "student": student,
            "teacher": teacher,
            "optimizer": OPTIMISER,
            "epoch": 800,
            "args": None,
            loss: losses,
        } | {"fp16_scaler": scaler}

    return content


def _byol(trunk: State) -> Any:
    parameters, state = haiku(trunk)
    parameters["projector/linear"] = {"w": np.ones((6, 6), np.float32), "b": np.ones(6, np.float32)}
    parameters["predictor/batch_norm"] = {"scale": np.ones((1, 6), np.float32), "offset": np.ones((1, 6), np.float32)}
    parameters["classifier"] = {"w": np.ones((6, 6), np.float32), "b": np.ones(6, np.float32)}
    state["projector/batch_norm/~/mean_ema"] = {"counter": np.array(9), "hidden": np.ones(6), "average": np.ones(6)}
    target = {module: {key: array + 1 for key, array in each.items()} for module, each in parameters.items()}
    experiment = {"online_params": parameters, "target_params": target, "online_state": state, "target_state": state}
    return {"experiment_state": experiment | {"opt_state": [target]}, "step": 100, "rng": np.zeros(2, np.uint32)}


def _vissl(trunk: State) -> Any:
    model = {"trunk": under("_feature_blocks.", trunk), "heads": layers("0.clf.0", "1.clf.0")}
    classy = {
        "base_model": {"model": model, "meta": {"config": {}}},
        "optimizer": {"optim": OPTIMISER},
        "loss": {"memory": torch.ones(6, 6)},
        "train_phase_idx": 799,
    }
    return {"phase": 799, "iteration": 10, "loss": 6.5, "iteration_num": 3, "classy_state_dict": classy}


def _mmselfsup(names: Callable[[State], State]) -> Callable[[State], Any]:
    def content(trunk: State) -> Any:
        statistics = {"data_preprocessor.mean": torch.zeros(3, 1, 1), "data_preprocessor.std": torch.ones(3, 1, 1)}
        rest = layers("neck.fc0", "head.predictor.fc0") | {"queue": torch.ones(6, 8)}
        copy = under("momentum_encoder.module.0.", other(trunk)) | under("target_net.module.0.", other(trunk))
        state = statistics | under("backbone.", names(trunk)) | rest | copy
        return {"meta": {"epoch": 300, "mmengine_version": "0.1.0"}, "state_dict": state}

    return content


def _solo_learn(prefix: str) -> Callable[[State], Any]:
    def content(trunk: State) -> Any:
        heads = layers("classifier", "projector.0", "predictor.0", "momentum_projector.0", "momentum_classifier")
        copy = under(f"momentum_{prefix}", other(trunk))
        state = (
            under(prefix, trunk) | heads | copy | {"queue": torch.ones(2, 6, 8), "queue_ptr": torch.zeros(1).long()}
        )
        return LIGHTNING | {"state_dict": state}

    return content


def _lightly(taken: str, copy: str, names: Callable[[State], State] = dict) -> Callable[[State], Any]:
    def content(trunk: State) -> Any:
        heads = layers("projection_head.layers.0", "student_projection_head.layers.0", "prediction_head.layers.0")
        state = (
            under(copy, names(other(trunk))) | under(taken, names(trunk)) | heads | layers("online_classifier.linear")
        )
        if taken.endswith("vit."):  # around a masked ViT, whose classifier is as it was initialised
            state |= layers(f"{taken}head") | {f"{taken.removesuffix('vit.')}mask_token": torch.zeros(1, 1, 16)}
        return LIGHTNING | {"state_dict": state | {"criterion.center": torch.zeros(1, 6)}}

    return content


PUBLISHED: dict[str, tuple[str, str, Callable[[State], Any]]] = {
    "plain": ("plain", "resnet", dict),
    "plain vit": ("plain", "vit", dict),
    "plain in state_dict": (
        "plain",
        "resnet",
        lambda trunk: {"state_dict": under("module.", trunk), "meta": {"a": 1}},
    ),
    "swav": (
        "swav",
        "resnet",
        lambda trunk: under("module.", trunk | layers("projection_head.0", "projection_head.3", "prototypes")),
    ),
    "deepcluster": (
        "swav",
        "resnet",
        lambda trunk: under("module.", trunk | layers("projection_head.0", "prototypes.prototypes0")),
    ),
    "moco": ("moco", "resnet", _moco),
    "moco v3": ("moco_v3", "resnet", _moco_v3("fc")),
    "moco v3 vit": ("moco_v3", "vit", _moco_v3("head")),
    "simsiam": (
        "simsiam",
        "resnet",
        lambda trunk: {
            "epoch": 100,
            "arch": "resnet50",
            "state_dict": under("module.encoder.", trunk | layers("fc.0", "fc.6"))
            | layers("module.predictor.0", "module.predictor.3"),
            "optimizer": OPTIMISER,
        },
    ),
    "pirl": (
        "pycontrast",
        "resnet",
        lambda trunk: {
            "model": under("module.encoder.", trunk)
            | layers("module.head.0", "module.head_jig.fc1", "module.head_jig.fc2"),
            "contrast": {"memory": torch.ones(6, 8)},
            "model_ema": under("encoder.", other(trunk)),
            "optimizer": OPTIMISER,
            "epoch": 200,
        },
    ),
    "barlow twins whole": (
        "barlow_twins",
        "resnet",
        lambda trunk: {
            "epoch": 1000,
            "model": under("module.backbone.", trunk) | layers("module.projector.0", "module.bn"),
            "optimizer": OPTIMISER,
        },
    ),
    "dino": ("dino", "resnet", _self_distilled("dino_loss", "module.")),
    "dino vit": ("dino", "vit", _self_distilled("dino_loss", "")),
    "ibot": ("ibot", "vit", _self_distilled("ibot_loss", "")),
    "mae": (
        "mae",
        "vit",
        lambda trunk: {
            "model": trunk
            | layers("decoder_embed", "decoder_blocks.0.attn.qkv", "decoder_pred")
            | {"mask_token": torch.zeros(1, 1, 6), "decoder_pos_embed": torch.zeros(1, 5, 6)}
        },
    ),
    "ijepa": (
        "ijepa",
        "vit",
        lambda trunk: {
            "encoder": under("module.", other(trunk)),
            "predictor": layers("module.predictor_embed"),
            "target_encoder": under("module.", trunk),
            "opt": OPTIMISER,
            "scaler": None,
            "epoch": 300,
            "loss": 0.1,
        },
    ),
    "obow": ("obow", "resnet", lambda trunk: {"network": trunk | layers("fc")}),
    "obow native": ("obow", "resnet", lambda trunk: {"network": obow_native(trunk), "epoch": 200}),
    "simclr v2": (
        "simclr_v2",
        "resnet",
        lambda trunk: {"resnet": simclr_v2(trunk) | layers("fc"), "head": layers("0")},
    ),
    "byol": ("byol", "resnet", _byol),
    "vissl": ("vissl", "resnet", _vissl),
    "mmselfsup": ("mmselfsup", "resnet", _mmselfsup(dict)),
    "mmselfsup vit": ("mmselfsup", "vit", _mmselfsup(mmpretrain_vit)),
    "solo-learn": ("solo_learn", "resnet", _solo_learn("backbone.")),
    "older solo-learn": ("solo_learn", "resnet", _solo_learn("encoder.")),
    "lightly": ("lightly", "resnet", _lightly("backbone.", "query_backbone.")),
    "lightly sequential": ("lightly", "resnet", _lightly("backbone.", "student_backbone.", sequential)),
    "lightly vit": ("lightly", "vit", _lightly("backbone.vit.", "student_backbone.vit.")),
    "lightly ibot": ("lightly", "vit", _lightly("teacher_backbone.vit.", "student_backbone.vit.")),
    "efficientnet": ("efficientnet_pytorch", "efficientnet", efficientnet),
}
"""Layout, kind of trunk, and what a file holds, by case; `simclr_v1` and `supervised` are told apart by name alone."""
