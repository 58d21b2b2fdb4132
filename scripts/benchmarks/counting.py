"""Multiply-adds and bytes of weights of the networks, counted from their configuration."""

import itertools

from src.config import Config


def multiply_adds(config: Config, batch_size: int, n_frames: int, length: int) -> dict[str, int]:
    """Multiply-adds of a forward pass by part of the network.

    A training step takes about three times as many, since the backward pass has two products for each of the forward
    pass. The recomputation of LSTM gates and attention is not counted.
    """
    model, n_mels = config.model, config.audio.n_mels
    steps = -(-n_frames // model.reduction_factor)
    n_in, n_out = n_mels * model.reduction_factor, n_mels * model.reduction_factor + 1
    half = model.encoder_dim // 2
    state = model.attention_rnn_dim + model.encoder_dim
    widths = [n_mels] + [model.postnet_dim] * (model.postnet_layers - 1) + [n_mels]
    taps = 2 * model.location_kernel_size
    by_symbol = {
        "encoder convolutions": model.encoder_layers * model.encoder_kernel_size * model.encoder_dim**2,
        "encoder LSTMs": 2 * 4 * half * (model.encoder_dim + half),
        "attention keys": model.encoder_dim * model.attention_dim,
    }
    by_step = {
        "prenet": n_in * model.prenet_dim + model.prenet_dim**2,
        "attention LSTM": 4 * model.attention_rnn_dim * (model.prenet_dim + state),
        "attention": model.attention_rnn_dim * model.attention_dim
        + length * (taps * model.attention_dim + model.attention_dim + model.encoder_dim),
        "decoder LSTM": 4 * model.decoder_rnn_dim * (state + model.decoder_rnn_dim),
        "projection": n_out * (model.decoder_rnn_dim + model.encoder_dim),
    }
    postnet = model.postnet_kernel_size * sum(before * after for before, after in itertools.pairwise(widths))
    counts = {name: batch_size * length * count for name, count in by_symbol.items()}
    counts |= {name: batch_size * steps * count for name, count in by_step.items()}
    return counts | {"postnet": batch_size * n_frames * postnet}


def training_flops(config: Config, batch_size: int, n_frames: int, length: int) -> int:
    """Floating-point operations of a training step of Tacotron 2: a forward pass, and twice as many backward."""
    return 6 * sum(multiply_adds(config, batch_size, n_frames, length).values())


def decoder_weights(config: Config) -> int:
    """Number of weights that a decoder step multiplies by; the location layer's two are multiplied into one before."""
    model = config.model
    by_step = multiply_adds(config, 1, model.reduction_factor, 0)  # no symbols, so no attention but its query
    names = "prenet", "attention LSTM", "attention", "decoder LSTM", "projection"
    taps = 2 * model.location_kernel_size
    return sum(by_step[name] for name in names) + (taps + 1) * model.attention_dim


def waveglow_flops(config: Config, n_frames: int) -> int:
    """Floating-point operations of WaveGlow's inference: each weight for each group of samples, upsampling by frames.

    Convolutions of three taps are counted as such, although ours compute four products for two positions; separable
    ones as such, although ours are folded to whole ones.
    """
    model, audio = config.model, config.audio
    by_frames = model.conditioning == "frames"
    width, condition = model.wn_channels, audio.n_mels * (1 if by_frames else model.n_group)
    taps = width + model.wn_kernel_size / 2 if model.wn_separable else model.wn_kernel_size * width  # per output
    positions = n_frames * audio.hop_length // model.n_group
    per_position = 0
    for flow in range(model.n_flows):
        channels = model.n_group - flow // model.n_early_every * model.n_early_size
        res_skip = (2 * model.wn_layers - 1) * width * width
        layers = model.wn_layers * int((taps + condition) * 2 * width)
        # 1x1 convolution, start, layers, residuals and skips, end
        per_position += channels**2 + channels // 2 * width + layers + res_skip + width * channels
    upsampling = n_frames * audio.n_mels**2 * (1 if by_frames else model.upsample_kernel_size)
    return 2 * (positions * per_position + upsampling)


def recurrent_products(config: Config, batch_size: int, n_frames: int) -> list[tuple[str, tuple[int, int, int], int]]:
    """The products of the two decoder LSTMs in a training step: name, (rows, inner size, columns), how many.

    They are most of a step. A step of the recurrence multiplies a batch of rows, forward and backward; the gradient of
    a weight is one product over all steps.
    """
    model = config.model
    steps = -(-n_frames // model.reduction_factor)
    state = model.attention_rnn_dim + model.encoder_dim
    found = []
    for name, inner, width in (
        ("attention LSTM", state, model.attention_rnn_dim),  # the prenet's share is a product over all steps
        ("decoder LSTM", state + model.decoder_rnn_dim, model.decoder_rnn_dim),
    ):
        found += [
            (f"{name}, forward", (batch_size, inner, 4 * width), steps),
            (f"{name}, backward", (batch_size, 4 * width, inner), steps),
            (f"{name}, weight gradient", (inner, batch_size * steps, 4 * width), 1),
        ]
    return found
