"""A Tacotron 2 under NVIDIA's names in which every width is another number, so that mix-ups show."""

import numpy as np

from src.text import SYMBOLS

E, P, A_RNN, D_RNN, A, F, K, POST, M, R = 8, 6, 10, 12, 4, 3, 7, 9, 5, 2
QUERY = "decoder.attention_layer.query_layer.linear_layer.weight"


def nvidia_tensors(r: int = R) -> dict[str, np.ndarray]:
    """Return the network's tensors with random numbers, the same at each call."""
    draw = np.random.default_rng(0).standard_normal
    shapes = {"embedding.weight": (len(SYMBOLS), E)}
    postnet = [M, POST, POST, POST, POST, M]
    blocks = [("encoder", i, E, E) for i in range(3)] + [("postnet", i, postnet[i], postnet[i + 1]) for i in range(5)]
    for part, i, n_in, n_out in blocks:
        prefix = f"{part}.convolutions.{i}"
        shapes |= {f"{prefix}.0.conv.weight": (n_out, n_in, 5), f"{prefix}.0.conv.bias": (n_out,)}
        shapes |= {f"{prefix}.1.{name}": (n_out,) for name in ("weight", "bias", "running_mean", "running_var")}
        shapes |= {f"{prefix}.1.num_batches_tracked": ()}
    cells = [("encoder.lstm", "_l0", E, E // 2), ("encoder.lstm", "_l0_reverse", E, E // 2)]
    cells += [("decoder.attention_rnn", "", P + E, A_RNN), ("decoder.decoder_rnn", "", A_RNN + E, D_RNN)]
    for prefix, suffix, n_in, n_hidden in cells:
        shapes |= {
            f"{prefix}.weight_ih{suffix}": (4 * n_hidden, n_in),
            f"{prefix}.weight_hh{suffix}": (4 * n_hidden, n_hidden),
        }
        shapes |= {f"{prefix}.bias_ih{suffix}": (4 * n_hidden,), f"{prefix}.bias_hh{suffix}": (4 * n_hidden,)}
    shapes |= {
        "decoder.prenet.layers.0.linear_layer.weight": (P, M * r),
        "decoder.prenet.layers.1.linear_layer.weight": (P, P),
        QUERY: (A, A_RNN),
        "decoder.attention_layer.memory_layer.linear_layer.weight": (A, E),
        "decoder.attention_layer.v.linear_layer.weight": (1, A),
        "decoder.attention_layer.location_layer.location_conv.conv.weight": (F, 2, K),
        "decoder.attention_layer.location_layer.location_dense.linear_layer.weight": (A, F),
        "decoder.linear_projection.linear_layer.weight": (M * r, D_RNN + E),
        "decoder.linear_projection.linear_layer.bias": (M * r,),
        "decoder.gate_layer.linear_layer.weight": (1, D_RNN + E),
        "decoder.gate_layer.linear_layer.bias": (1,),
    }
    return {name: np.asarray(draw(shape), np.float32) for name, shape in shapes.items()}
