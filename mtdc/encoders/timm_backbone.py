"""Any backbone of timm that gives feature maps (Wightman, PyTorch Image Models): ResNet, ConvNeXt, EfficientNet, PVT, ...

    {stride: map} = backbone(x)          strides and channels as timm declares them for the backbone

Shapes      x (B, C, H, W) -> {stride: (B, C_s, ceil(H/s), ceil(W/s))}, usually strides 2 or 4 to 32.
Test time   all of it.
Differs     the stem reads x's own channels. With weights of a photo's backbone timm repeats and rescales the stem's kernels
            over them. Sides are extended by their last row or column to a multiple of the last stride.
Cost        the backbone's; the network's width doesn't change it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor

from ..compatibility import mend_torchvision
from ..contracts import Encoder
from ..errors import ConfigError, UserError, did_you_mean
from ..registry import ENCODERS

#: What timm's families call "any size".
ANY_SIZE = {"strict_img_size": False, "dynamic_img_size": True}


@ENCODERS.register_module()
class TimmEncoder(Encoder):
    """A backbone of timm, by its name there.

    Args:
        in_channels, layout: Given by the network.
        name: The model's name in timm ("resnet18", "convnext_atto", "pvt_v2_b0", ...), with the tag of its weights behind a dot
            where there are several.
        weights: A .safetensors file of the backbone's weights, as timm publishes them; None trains from scratch. Other formats
            can hold code that loading executes.
        pretrained: Let timm download its weights. Off by default: a training must not need a network.
        stages: Numbers of the maps to give, from 0, the finest; None gives all.
        options: Further arguments of the backbone's constructor, as ``dict(drop_path_rate=0.1)``.

    Raises:
        ConfigError: timm has no such model, it can't give feature maps, or its weights can't be read.
        ValueError: Both sources of weights are given.
    """

    def __init__(
        self,
        in_channels: int,
        layout: Mapping[str, int],
        name: str = "resnet18",
        weights: str | None = None,
        pretrained: bool = False,
        stages: Sequence[int] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if weights is not None and pretrained:
            raise ValueError("weights names a file and pretrained=True a download; give one of them")
        self.backbone = _create(name, in_channels, weights, pretrained, stages, dict(options or {}))
        info = self.backbone.feature_info
        #: Of several maps of one stride timm's last is given.
        self.order = [int(stride) for stride in info.reduction()]
        self.channels = dict(zip(self.order, (int(size) for size in info.channels()), strict=True))
        # Some families put channels last; timm says which.
        self.channels_last = str(getattr(self.backbone, "output_fmt", "")).endswith("NHWC")

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """The backbone's maps, under their strides."""
        height, width = x.shape[-2:]
        last = max(self.channels)
        if height % last or width % last:
            x = functional.pad(x, (0, -width % last, 0, -height % last), mode="replicate")
        maps = self.backbone(x)
        if self.channels_last:
            maps = [one.permute(0, 3, 1, 2) for one in maps]
        return {
            stride: one[..., : -(-height // stride), : -(-width // stride)]
            for stride, one in zip(self.order, maps, strict=True)
        }


def _create(
    name: str, in_channels: int, weights: str | None, pretrained: bool, stages: Sequence[int] | None, options: dict[str, Any]
) -> Any:
    mend_torchvision()
    import timm  # a second of imports that other encoders do without

    if name.partition(".")[0] not in timm.list_models():
        raise ConfigError(f"timm has no model '{name}'.{did_you_mean(name, timm.list_models())}")
    if weights is not None:
        _check_weights(name, Path(weights))
        options["pretrained_cfg_overlay"] = {"file": str(weights)}
    if stages is not None:
        options["out_indices"] = tuple(stages)
    arguments = {"pretrained": pretrained or weights is not None, "features_only": True, "in_chans": in_channels}
    source = f" with the weights {weights}" if weights else " with timm's weights, which are downloaded" if pretrained else ""
    try:
        if not timm.get_pretrained_cfg_value(name, "fixed_input_size"):
            return timm.create_model(name, **arguments, **options)
        return _create_any_size(name, {**arguments, **options})
    except UserError:
        raise
    except Exception as error:  # whatever a backbone's own constructor, reader or download raises
        words = " ".join(str(error).split())[:300] or type(error).__name__
        raise ConfigError(f"timm can't make '{name}'{source} as a backbone of feature maps: {words}") from error


def _create_any_size(name: str, arguments: dict[str, Any]) -> Any:
    """A transformer that is made for one size, told to take any, in whichever of timm's words it knows."""
    import timm

    own = [word for word in ANY_SIZE if word in arguments]
    for word in own or ANY_SIZE:
        try:
            return timm.create_model(name, **{word: ANY_SIZE[word], **arguments})
        except TypeError as error:  # noqa: PERF203 (two words at most)
            if word not in str(error):
                raise
    raise ConfigError(f"timm's '{name}' takes images of one size alone, and a network here must take any.")


def _check_weights(name: str, file: Path) -> None:
    """Refuse a file that is not of this backbone: timm would leave what it doesn't find as it was drawn.

    Raises:
        ConfigError: No such file, another format, or another model's tensors; the first that is missing or differs is named.
    """
    import timm
    from safetensors import SafetensorError, safe_open

    if not file.is_file():
        raise ConfigError(f"the backbone's weights {file}: no such file.")
    if file.suffix != ".safetensors":
        raise ConfigError(f"the backbone's weights {file}: expected a .safetensors file, which can't hold code.")
    try:
        with safe_open(file, "pt") as opened:
            found = {key: tuple(opened.get_slice(key).get_shape()) for key in opened.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        raise ConfigError(f"the backbone's weights {file}: the file is broken: {' '.join(str(error).split())}") from error
    with torch.device("meta"):
        model = timm.create_model(name, pretrained=False)
    heads = timm.get_pretrained_cfg_value(name, "classifier") or ()
    prefixes = tuple(f"{head}." for head in ((heads,) if isinstance(heads, str) else heads))
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items() if not key.startswith(prefixes)}
    for key, shape in expected.items():
        if found.get(key) != shape:
            has = "has no such tensor" if key not in found else f"it is {found[key]} there"
            raise ConfigError(f"the backbone's weights {file} are not of '{name}', which has '{key}' {shape}: {has}.")
    strange = [key for key in found if key not in expected and not key.startswith(prefixes)]
    if strange:
        raise ConfigError(f"the backbone's weights {file} are not of '{name}', which has no '{strange[0]}'.")
