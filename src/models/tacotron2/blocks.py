"""Free running in blocks of decoder steps, for speech that is heard while it is being made.

Three graphs: the encoder of a text, a block of decoder steps of a batch, the postnet of a few frames. The host
hands the decoder's state from block to block, so items may join and leave the batch between two blocks.
"""

import mindspore as ms
from mindspore import Parameter, Tensor, nn

from src.models.ops import take_rows, write_rows, zeros
from src.models.tacotron2.model import Tacotron2


class GraphOfNetwork(nn.Cell):
    """Base class of the graphs: their parameters are those of the network, which owns them."""

    def __init__(self, net: Tacotron2):
        super().__init__(auto_prefix=False)
        self.net = [net]  # in a list, because the network owns its cells

    def parameters_dict(self, recurse: bool = True) -> dict[str, Parameter]:
        """The network's parameters; a graph from the cache finds its weights by their names."""
        return self.net[0].parameters_dict(recurse)


class TextEncoder(GraphOfNetwork):
    """text int32 (1, L), lengths (1,), and speaker (1,) of several -> memory (1, L, E), keys (1, A, L), energy mask."""

    def construct(
        self, text: Tensor, text_lengths: Tensor, speaker: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        net = self.net[0]
        memory, energy_mask = net.encode(text, text_lengths, speaker)
        return memory, net.decoder.attention.keys(memory).swapaxes(1, 2), energy_mask


class DecoderBlock(GraphOfNetwork):
    """K steps of `Decoder.step`, in a loop."""

    def construct(
        self,
        frame: Tensor,
        dropout_mask: Tensor,
        attention_hidden: Tensor,
        attention_cell: Tensor,
        context: Tensor,
        weights: Tensor,
        weights_cum: Tensor,
        decoder_hidden: Tensor,
        decoder_cell: Tensor,
        memory: Tensor,
        keys: Tensor,
        energy_mask: Tensor,
    ) -> tuple[Tensor, ...]:
        """Run K steps from the frames of the step before.

        Args:
            frame: (B, r * n_mels).
            dropout_mask: the prenet's, (K, B, 2 * prenet_dim).
            attention_hidden, attention_cell, context, weights, weights_cum, decoder_hidden, decoder_cell: as of
                `Decoder.step`.
            memory, keys, energy_mask: outputs of `TextEncoder` for B texts.

        Returns:
            frames (K, B, r * n_mels), probabilities of the gate (K, B), attention weights (K, B, L), and the seven
            states after the last step.
        """
        decoder = self.net[0].decoder
        n_steps, n_batch, _ = dropout_mask.shape
        constants = (
            memory,
            keys.swapaxes(1, 2),
            energy_mask,
            decoder.attention.location(),
            *decoder.state_weights(n_batch),
        )
        all_frames = zeros((n_steps, n_batch, decoder.n_frame), memory)
        all_gates = zeros((n_steps, n_batch), energy_mask)
        all_weights = zeros((n_steps, n_batch, memory.shape[1]), keys)
        t = Tensor(0, ms.int32)
        while t < n_steps:
            row = t.reshape(1)
            state = (attention_hidden, attention_cell, context, weights, weights_cum, decoder_hidden, decoder_cell)
            frame, gate, state = decoder.step(frame, take_rows(dropout_mask, t), state, constants)
            attention_hidden, attention_cell, context, weights, weights_cum, decoder_hidden, decoder_cell = state
            all_frames = write_rows(all_frames, row, frame.expand_dims(0))
            all_gates = write_rows(all_gates, row, gate.expand_dims(0))
            all_weights = write_rows(all_weights, row, weights.expand_dims(0))
            t = t + 1
        state = (attention_hidden, attention_cell, context, weights, weights_cum, decoder_hidden, decoder_cell)
        return (all_frames, all_gates, all_weights, *state)


class PostnetWindow(GraphOfNetwork):
    """mel (B, T, n_mels) and mask (B, T, 1), 1 at frames of the speech -> mel after the postnet (B, T, n_mels)."""

    def construct(self, mel: Tensor, mask: Tensor) -> Tensor:
        return self.net[0].postnet(mel, mask)
