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

import torch.nn.functional as functional
from torch import Tensor

from ..compatibility import mend_torchvision
from ..contracts import Encoder
from ..errors import ConfigError, did_you_mean
from ..registry import ENCODERS


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
        options: Further arguments of the backbone's constructor, as ``dict(strict_img_size=False)`` for Swin.

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
        if not Path(weights).is_file():
            raise ConfigError(f"the backbone's weights {weights}: no such file.")
        if Path(weights).suffix != ".safetensors":
            raise ConfigError(f"the backbone's weights {weights}: expected a .safetensors file, which can't hold code.")
        options["pretrained_cfg_overlay"] = {"file": str(weights)}
    if stages is not None:
        options["out_indices"] = tuple(stages)
    try:
        return timm.create_model(
            name, pretrained=pretrained or weights is not None, features_only=True, in_chans=in_channels, **options
        )
    except Exception as error:  # whatever a backbone's own constructor, reader or download raises
        words = " ".join(str(error).split())[:300] or type(error).__name__
        source = (
            f" with the weights {weights}" if weights else " with timm's weights, which are downloaded" if pretrained else ""
        )
        raise ConfigError(f"timm can't make '{name}'{source} as a backbone of feature maps: {words}") from error
