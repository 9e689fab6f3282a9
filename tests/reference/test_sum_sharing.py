"""The paper's sharing against its equations, written out by hand on small tensors (Lu et al., CVPR 2020, Eqs. 8 to 11)."""

import numpy as np
import torch
import torch.nn.functional as functional
from support import numpy64, small_network, sparse_map

from mtdc.registry import NETWORKS, SHARING, build


def transposed_conv(x, weight):
    """Transposed 3x3 convolution, stride 2, padding 1, output padding 1, one frame: scatter each input pixel's stamp."""
    channels, height, width = x.shape
    out = np.zeros((weight.shape[1], 2 * height + 2, 2 * width + 2))
    for c in range(channels):
        for i in range(height):
            for j in range(width):
                out[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += x[c, i, j] * weight[c]
    return out[:, 1 : 1 + 2 * height, 1 : 1 + 2 * width]


def conv(x, weight):
    """3x3 convolution with zero padding, one frame: the window's products summed."""
    _, height, width = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    return np.array([
        [[(padded[:, i : i + 3, j : j + 3] * kernel).sum() for j in range(width)] for i in range(height)] for kernel in weight
    ])  # fmt: skip


def phi(unit, x):
    """The unit's convolution, batch norm by its running statistics, LeakyReLU(0.2)."""
    layer, norm = unit[0], unit[1]
    weight = numpy64(layer.weight)
    y = transposed_conv(x, weight) if isinstance(layer, torch.nn.ConvTranspose2d) else conv(x, weight)
    scale = numpy64(norm.weight) / np.sqrt(numpy64(norm.running_var) + norm.eps)
    shift = numpy64(norm.bias) - numpy64(norm.running_mean) * scale
    y = y * scale[:, None, None] + shift[:, None, None]
    return np.where(y > 0, y, 0.2 * y)


def randomise(module):
    """Running statistics as after training, so that batch norm is no identity."""
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(part.running_mean, -0.3, 0.3)
            torch.nn.init.uniform_(part.running_var, 0.5, 2)
            torch.nn.init.uniform_(part.weight, 0.5, 1.5)
            torch.nn.init.uniform_(part.bias, -0.2, 0.2)


def test_shared_stream_follows_equations_8_to_11():
    strides, widths = (8, 4, 2, 2), (4, 3, 2, 2)
    sharing = build(SHARING, {"type": "SumSharing"}, "sharing", tasks=("depth", "image"), strides=strides, widths=widths).eval()
    randomise(sharing)
    f_d = [torch.rand(1, w, 16 // s, 32 // s) - 0.5 for s, w in zip(strides, widths, strict=True)]
    f_r = [torch.rand(1, w, 16 // s, 32 // s) - 0.5 for s, w in zip(strides, widths, strict=True)]

    shared = None
    for n in range(4):
        streams, shared = sharing(n, {"depth": f_d[n], "image": f_r[n]}, shared)
    joined = sharing.join(streams, shared)

    d, r = ([numpy64(value[0]) for value in stream] for stream in (f_d, f_r))
    convs = list(sharing.convs)
    f_s = r[0] + d[0]  # Eq. 8
    f_s = r[1] + d[1] + phi(convs[0], f_s)  # Eq. 9, n = 2
    f_s = r[2] + d[2] + phi(convs[1], f_s)  # Eq. 9, n = 3
    f_s = phi(convs[2], f_s)  # Eq. 10: no sum
    np.testing.assert_allclose(numpy64(joined["depth"][0]), np.concatenate((d[3], f_s)), atol=1e-5)  # Eq. 11
    np.testing.assert_allclose(numpy64(joined["image"][0]), np.concatenate((r[3], f_s)), atol=1e-5)


def test_whole_network_follows_the_equations():
    """From f_0 to metres: trunks, sharing and heads wired as the paper says, at the smallest width."""
    network = build(NETWORKS, small_network(), "network", width=1).eval()
    randomise(network)
    torch.nn.init.normal_(network.tasks["depth"].head.output.weight, std=0.1)
    inputs = {"sparse_depth": sparse_map(16, 32, batch=1)}
    f0 = numpy64(network.encoder(network.representation(inputs).x)[16][0])

    depth_trunk, image_trunk = network.trunks["depth"].stages, network.trunks["image"].stages
    share = network.sharing.convs
    f_d, f_r = phi(depth_trunk[0], f0), phi(image_trunk[0], f0)
    f_s = f_r + f_d
    for n in (1, 2):
        f_d, f_r = phi(depth_trunk[n], f_d), phi(image_trunk[n], f_r)
        f_s = f_r + f_d + phi(share[n - 1], f_s)
    f_d, f_s = phi(depth_trunk[3], f_d), phi(share[2], f_s)
    head = network.tasks["depth"].head
    hidden = phi(head.hidden[1], phi(head.hidden[0], np.concatenate((f_d, f_s))))
    raw = conv(hidden, numpy64(head.output.weight)) + numpy64(head.output.bias)[:, None, None]
    expected = np.clip(15.0 + 15.0 * raw, 0.9, 100.0)
    np.testing.assert_allclose(numpy64(network(inputs)["depth"][0]), expected, atol=1e-3)


def test_multi_kernel_encoder_is_four_independent_branches():
    """Each branch alone, with torch's functional convolution and the paper's kernel sizes, then concatenated."""
    network = build(NETWORKS, small_network(), "network", width=1).eval()
    randomise(network)
    x = sparse_map(32, 48, batch=1)
    parts = []
    for kernel, branch in zip((3, 5, 7, 9), network.encoder.branches.values(), strict=True):
        y = x
        for unit in branch:
            assert unit[0].weight.shape[-2:] == (kernel, kernel)
            y = functional.conv2d(y, unit[0].weight, stride=2, padding=kernel // 2)
            y = functional.batch_norm(y, unit[1].running_mean, unit[1].running_var, unit[1].weight, unit[1].bias)
            y = functional.leaky_relu(y, 0.2)
        parts.append(y)
    torch.testing.assert_close(network.encoder(x)[16], torch.cat(parts, dim=1))


def test_weights_at_the_reference_width_are_the_counted_ones():
    """Convolution weights by hand, batch norm and biases excluded."""

    def weights(module):
        return sum(p.numel() for p in module.parameters() if p.ndim == 4)

    network = build(NETWORKS, small_network(), "network", width=16)
    encoder = (9 + 25 + 49 + 81) * (1 * 16 + 16 * 32 + 32 * 64 + 64 * 128)
    trunk = 9 * (512 * 256 + 256 * 128 + 128 * 64 + 64 * 64)
    share = 9 * (256 * 128 + 128 * 64 + 64 * 64)
    decoder = 9 * (128 * 64 + 64 * 64 + 64 * 1)
    assert weights(network) == encoder + 2 * trunk + share + 2 * decoder == 5_564_096
    network.strip(("depth",))
    assert weights(network) == encoder + 2 * trunk + share + decoder - 9 * 64 * 64 == 5_416_064
    only_b = small_network(sharing={"type": "NoSharing"}, tasks={"depth": {"type": "DepthTask"}, "image": None})
    assert weights(build(NETWORKS, only_b, "network", width=16)) == encoder + trunk + 9 * (64 * 64 + 64 * 64 + 64)
