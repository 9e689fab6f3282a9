"""Write a trained model as an ONNX graph, which onnxruntime computes without PyTorch and without this package.

    mtdc export unet_street --out unet_street.onnx
    mtdc export aux_image_kitti --checkpoint work_dirs/aux_image_kitti/epoch_30.pth --out mine.onnx

Depth alone is left, as `mtdc strip` leaves it. The graph takes batches and maps of any size: sparse_depth (B, 1, H, W) in
metres, 0 = not measured, and image (B, 3, H, W) RGB, 0..255, where the model reads it; it gives depth (B, 1, H, W) in metres,
and depth_confidence where the model predicts its own error. It is compared with PyTorch at several sizes, and written only
where no pixel differs by more than a millimetre. Needs the packages of `pip install '.[onnx]'`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", metavar="MODEL",
                        help="a name of the zoo (`mtdc zoo`), a weights file (.safetensors), a config file, or the name of a "
                             "shipped config")  # fmt: skip
    parser.add_argument("--checkpoint", metavar="FILE", help="trained weights of a config (the zoo's models have theirs)")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.onnx", help="where the graph goes")
    parser.add_argument("--opset", type=int, default=18, metavar="N",
                        help="version of ONNX's operators, 16 to 20 (default: %(default)s)")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Load, export, compare, and say what was found."""
    from ..infer import Completer
    from ..zoo.onnx_export import TOLERANCE_M, export_onnx

    completer = Completer.load(args.model, args.checkpoint, device="cpu")
    done = export_onnx(completer.model, args.out, Path(args.model).stem, completer.origin["checkpoint"], args.opset)
    sizes = ", ".join(f"{height}x{width}" for height, width in dict.fromkeys(done.sizes))
    sys.stdout.write(
        f"{', '.join(done.inputs)} -> {', '.join(done.outputs)}, any size\n"
        f"largest difference to PyTorch at any pixel: {done.difference_m:.2e} m (limit {TOLERANCE_M:g} m; {sizes})\n"
        f"written to {args.out} ({args.out.stat().st_size / 1e6:.2f} MB)\n"
    )
    return 0
