"""Layouts in which the authors of a method, or those who ported it, publish its checkpoints.

Sources: the code that writes or loads each file.
"""

from typing import Final

from hf_sslgen.zoo.conversion.layout_form import (
    FILE,
    HEAD,
    LOSS,
    MODEL,
    MOMENTUM,
    PROBE,
    STATE_DICT,
    UNTRAINED,
    Layout,
)

TEACHER_NOTE: Final = "the teacher is taken, as its authors evaluate it, and not the student"

METHOD_ROWS: Final = (
    Layout(
        "swav",
        "SwAV, DeepCluster-v2, SeLa-v2: the prefix `module.`, `projection_head` and `prototypes`",
        wrappers=(FILE, STATE_DICT),
        prefixes=("module.", ""),
        dropped=((HEAD, r"(module\.)?projection_head\."), ("prototypes", r"(module\.)?prototypes\b")),
        marks=(r"(module\.)?(projection_head|prototypes)\b",),
        normalization="swav",
    ),
    Layout(
        "moco",
        "MoCo v1 and v2, PCL: `state_dict`, the prefix `module.encoder_q.`",
        wrappers=(STATE_DICT,),
        prefixes=("module.encoder_q.",),
        dropped=(
            (HEAD, r"module\.encoder_q\.fc\."),
            (MOMENTUM, r"module\.encoder_k\."),
            ("queue of negatives", r"module\.queue"),
        ),
    ),
    Layout(
        "moco_v3",
        "MoCo v3, ResNet or ViT: `state_dict`, the prefix `module.base_encoder.`",
        wrappers=(STATE_DICT,),
        prefixes=("module.base_encoder.",),
        dropped=(
            (HEAD, r"module\.base_encoder\.(fc|head)\."),
            (MOMENTUM, r"module\.momentum_encoder\."),
            ("predictor", r"module\.predictor\."),
        ),
        twelve_heads="",
    ),
    Layout(
        "simsiam",
        "SimSiam: `state_dict`, the prefix `module.encoder.`",
        wrappers=(STATE_DICT,),
        prefixes=("module.encoder.",),
        dropped=((HEAD, r"module\.encoder\.fc\."), ("predictor", r"module\.predictor\.")),
    ),
    Layout(
        "pycontrast",
        "InsDis, PIRL, InfoMin (PyContrast): `model`, the prefix `module.encoder.`",
        wrappers=(MODEL,),
        prefixes=("module.encoder.",),
        dropped=(
            ("head of the jigsaw task", r"module\.head_jig\."),
            (HEAD, r"module\.head\."),
            (UNTRAINED, r"module\.encoder\.fc\."),
        ),
        beside=((MOMENTUM, r"model_ema$"), ("memory bank", r"contrast$")),
    ),
    Layout(
        "barlow_twins",
        "whole checkpoints of Barlow Twins and VICReg: `model`, the prefix `module.backbone.`",
        wrappers=(MODEL,),
        prefixes=("module.backbone.",),
        dropped=((HEAD, r"module\.(projector|bn)\."),),
    ),
    Layout(
        "dino",
        "whole checkpoints of DINO: the `teacher`, beside its `student`",
        wrappers=(("teacher",),),
        prefixes=("module.backbone.", "backbone."),
        dropped=((HEAD, r"(module\.)?head\."),),
        beside=(("student", r"student$"), (LOSS, r"dino_loss$")),
        note=TEACHER_NOTE,
    ),
    Layout(
        "ibot",
        "whole checkpoints of iBOT: the `teacher`, beside its `student`",
        wrappers=(("teacher",),),
        prefixes=("module.backbone.", "backbone."),
        dropped=((HEAD, r"(module\.)?head\."), ("embedding of masked patches", r"(module\.)?backbone\.masked_embed$")),
        beside=(("student", r"student$"), (LOSS, r"ibot_loss$")),
        note=TEACHER_NOTE,
    ),
    Layout(
        "dino_student",
        "whole checkpoints of DINO or iBOT: the `student`, only if asked for",
        wrappers=(("student",),),
        prefixes=("module.backbone.", "backbone."),
        dropped=((HEAD, r"(module\.)?head\."), ("embedding of masked patches", r"(module\.)?backbone\.masked_embed$")),
        beside=(("teacher", r"teacher$"), (LOSS, r"(dino|ibot)_loss$")),
        by_name_only=True,
        note="the student is taken as asked for, and not the teacher, which its authors evaluate",
    ),
    Layout(
        "mae",
        "MAE with its decoder: `model`, `decoder_` and `mask_token`",
        wrappers=(MODEL, FILE),
        dropped=(("decoder", r"(decoder_|mask_token$)"),),
        marks=(r"(decoder_|mask_token$)",),
    ),
    Layout(
        "ijepa",
        "I-JEPA: the `target_encoder`",
        wrappers=(("target_encoder",),),
        prefixes=("module.", ""),
        beside=(("context encoder", r"encoder$"), ("predictor", r"predictor$")),
        note="the target encoder is taken, as its authors evaluate it, and not the context encoder",
    ),
    Layout(
        "obow",
        "OBoW: `network`, under torchvision's names or as `_feature_blocks.0` to `_feature_blocks.4`",
        wrappers=(("network",), FILE),
        prefixes=("", "feature_extractor."),
        namings=("timm", "obow resnet"),
        dropped=((UNTRAINED, r"(feature_extractor\.)?fc\."), (MOMENTUM, r"feature_extractor_teacher\.")),
        marks=(r"network$", r"(feature_extractor\.)?_feature_blocks\.0\."),
    ),
    Layout(
        "simclr_v1",
        "PyTorch ports of SimCLR v1: `state_dict` alone in the file, torchvision's names, inputs in [0, 1]",
        wrappers=(STATE_DICT,),
        dropped=((PROBE, r"fc\."),),
        marks=(r"fc\.",),
        alone=True,
        normalization="unit_range",
    ),
    Layout(
        "simclr_v2",
        "PyTorch ports of SimCLR v2: `resnet`, names such as `net.1.blocks.0.net.0`, inputs in [0, 1]",
        wrappers=(("resnet",),),
        namings=("simclr v2 resnet",),
        dropped=((PROBE, r"fc\."),),
        beside=((HEAD, r"head$"),),
        normalization="unit_range",
    ),
    Layout(
        "byol",
        "BYOL's Haiku pickle: `online_params` and `online_state` in `experiment_state`",
        wrappers=(("experiment_state.online_params", "experiment_state.online_state"),),
        namings=("haiku resnet",),
        dropped=(
            (HEAD, r"projector/"),
            ("predictor", r"predictor/"),
            (PROBE, r"classifier/"),
            ("part of a running statistic", r".*_ema/(counter|hidden)$"),
        ),
        beside=(("target network", r"experiment_state\.target_(params|state)$"), ("random state", r"rng$")),
        padding="same",
    ),
)
