"""Layouts in which libraries of pretraining and of networks publish checkpoints.

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

PLAIN_ROWS: Final = (
    Layout(
        "plain",
        "the trunk alone under timm's or torchvision's names, bare or in `state_dict` or `model`: Barlow Twins, "
        "VICReg, DINO, MAE, iBOT and copies of others",
        wrappers=(FILE, STATE_DICT, MODEL),
        prefixes=("", "module."),
        namings=("timm", "torchvision vit"),
        dropped=((HEAD, r"(module\.)?mask_token$"),),
    ),
    Layout(
        "supervised",
        "a classifier under timm's or torchvision's names, bare or in `state_dict` or `model`",
        wrappers=(FILE, STATE_DICT, MODEL),
        prefixes=("", "module."),
        namings=("timm", "torchvision vit"),
        classifier=r"(?:module\.)?(?:fc|head|heads\.head)\.(weight|bias)",
        marks=(r"(module\.)?(fc|head|heads\.head)\.(weight|bias)$",),
        beside=(("moving average of the weights", r"(state_dict|model)_ema$"),),
    ),
)
"""A network under the names that it is converted to."""

LIBRARY_ROWS: Final = (
    Layout(
        "vissl",
        "VISSL: `classy_state_dict.base_model.model.trunk`, the prefix `_feature_blocks.`",
        wrappers=(("classy_state_dict.base_model.model.trunk",),),
        prefixes=("_feature_blocks.", ""),
        beside=((HEAD, r"classy_state_dict\.base_model\.model\.heads$"), (LOSS, r"classy_state_dict\.loss")),
    ),
    Layout(
        "mmselfsup",
        "mmselfsup and mmpretrain: `state_dict`, the prefix `backbone.`, names of mmpretrain for a ViT",
        wrappers=(STATE_DICT,),
        prefixes=("backbone.",),
        namings=("timm", "mmpretrain vit"),
        dropped=(
            (HEAD, r"(neck|head|projector)\b"),
            (MOMENTUM, r"(momentum_encoder|target_network?|target_net|encoder_k)\b"),
            ("queue or memory of features", r"(queue\w*|memory_bank\w*|bank)\b"),
            ("mean and deviation of the input", r"data_preprocessor\."),
            ("target of the reconstruction", r"(target_generator|hog_layer|tokenizer)\b"),
            ("mask token", r"backbone\.mask_token$"),
        ),
        twelve_heads=r"(momentum_encoder|head\.predictor)\.",
    ),
    Layout(
        "solo_learn",
        "solo-learn (Lightning): `state_dict`, the prefix `backbone.`, in older versions `encoder.`",
        wrappers=(STATE_DICT,),
        prefixes=("backbone.", "encoder."),
        dropped=(
            (PROBE, r"(momentum_)?classifier\."),
            (MOMENTUM, r"momentum_\w+\."),
            (HEAD, r"(projector|predictor|prototypes|head|decoder|deepclusterv2_\w+|student_\w+)\b"),
            ("queue of features", r"(queue\w*|local_memory\w*)\b"),
            (UNTRAINED, r"(backbone|encoder)\.(fc|head)\."),
            (LOSS, r"\w*loss\w*\."),
        ),
        marks=(r"pytorch-lightning_version$",),
    ),
    Layout(
        "lightly",
        "lightly (Lightning): `state_dict`, the prefix `backbone.`, also around an `nn.Sequential` or a masked ViT",
        wrappers=(STATE_DICT,),
        prefixes=("backbone.", "backbone.vit.", "teacher_backbone.vit."),
        namings=("timm", "sequential resnet", "torchvision vit"),
        dropped=(
            (PROBE, r"online_classifier\."),
            ("other copy of the backbone", r"(student|teacher|query|key|momentum)_backbone\w*\."),
            (HEAD, r"\w*(head|projector|predictor|decoder|prototypes|criterion)\w*\."),
            ("mask token", r"(backbone\.|teacher_backbone\.)?mask_token$"),
            (UNTRAINED, r"(teacher_)?backbone\.(vit\.)?(fc|head|heads\.head)\."),
            ("outside the backbone", r"(?!(teacher_)?backbone\.)"),
        ),
        marks=(r"pytorch-lightning_version$",),
    ),
    Layout(
        "transformers",
        "ResNet, ViT, ViT-MAE, ViT-MSN, I-JEPA and DINO of transformers, with or without a classifier",
        prefixes=("", "resnet.", "vit.", "ijepa.", "deit."),
        namings=("transformers resnet", "transformers vit"),
        dropped=(
            ("decoder", r"decoder\."),
            ("pooler", r"(\w+\.)?pooler\."),
            ("mask token", r"(\w+\.)?embeddings\.mask_token$"),
        ),
        classifier=r"classifier\.(?:1\.)?(weight|bias)",
    ),
    Layout(
        "efficientnet_pytorch",
        "EfficientNets from TensorFlow under lukemelas' names: `_conv_stem`, `_blocks.0._depthwise_conv`",
        wrappers=(FILE, STATE_DICT),
        prefixes=("", "module."),
        namings=("efficientnet",),
        classifier=r"(?:module\.)?_fc\.(weight|bias)",
    ),
)
