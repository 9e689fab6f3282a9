"""Complete a sparse depth map without PyTorch and without mtdc; needs numpy and onnxruntime alone.

    mtdc export unet_street --out unet_street.onnx            # once, where mtdc is installed
    python onnx_inference.py unet_street.onnx sparse.npy depth.npy

sparse.npy holds (H, W) floats, metres, 0 = not measured; depth.npy becomes (H, W) float32 metres.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime

if len(sys.argv) != 4:
    sys.exit(__doc__)
graph, source, target = sys.argv[1:]
for path in (graph, source):
    if not Path(path).is_file():
        sys.exit(f"{path}: no such file.")
sparse_depth = np.load(source)
if sparse_depth.ndim != 2 or not np.isfinite(sparse_depth).all() or sparse_depth.min() < 0 or not 0 < sparse_depth.max() < 1000:
    sys.exit(f"{source}: expected (H, W) metres (not millimetres), 0 = not measured, with a measured pixel at least.")
session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
inputs = [one.name for one in session.get_inputs()]
if inputs != ["sparse_depth"]:
    sys.exit(f"{graph} reads {' and '.join(inputs)}: give session.run a photo too, (1, 3, H, W) float32, RGB 0..255.")
(depth,) = session.run(["depth"], {"sparse_depth": sparse_depth[None, None].astype(np.float32)})
np.save(target, depth[0, 0])
