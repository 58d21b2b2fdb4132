"""A harmonic vocoder that compiles in seconds; its recordings are those of `toy_waveglow`."""

from toy_waveglow import SETTINGS as WAVEGLOW

SETTINGS = {key: value for key, value in WAVEGLOW.items() if not key.startswith("model.")} | {
    "model.name": "harmonic",
    "model.kernel_size": 3,
    "model.pitch_layers": 1,
    "model.pitch_channels": 4,
    "model.filter_layers": 1,
    "model.filter_channels": 6,
    "model.pitch_min": 100.0,
    "model.pitch_max": 900.0,
    "model.mel_corrections": 2,
    "train.segment_length": 1024,
    "train.batch_size": 2,
    "train.max_steps": 6,
    "train.grad_clip": 5.0,
    "train.validate_every": 3,
    "train.checkpoint_every": 4,
    "data.workers": 1,
}
