"""The decoder (Shen et al. 2018, sec. 2.2): from the encoder's memory to mel frames, r per step, and a stop gate."""

import mindspore as ms
from mindspore import Tensor, nn, ops

from src.config import Config
from src.models.layers import INITIAL_GAINS, Linear
from src.models.lstm import LSTM, lstm_step
from src.models.ops import (
    broadcast_last,
    concat_last,
    concat_rows,
    dropout_mask_from_output,
    matmul,
    matmul_fp32,
    matmul_state,
    one_step_later,
    parameter_view,
    take_rows,
    transpose_weight,
    unstack,
    write_rows,
    zeros,
)
from src.models.precision import cast, to_float32
from src.models.scan import DropoutMask, FreeRunningLoop, block_rows
from src.models.tacotron2.attention import Attention, attend
from src.models.tacotron2.stopping import (
    NOT_STOPPED,
    RESTING_WEIGHT,
    STOPPED_BY_ATTENTION,
    STOPPED_BY_GATE,
    attention_stop_steps,
)


def uses_transposed_weights(n_batch: int) -> bool:
    """Return whether `Decoder.step` takes the LSTMs' weights transposed; a batch of one gains nothing by it."""
    return n_batch > 1


class DroppedRelu(nn.Cell):
    """ReLU and dropout, relu(x) * dropout_mask, both (N, C).

    It keeps only its output for the gradient, whose zeros show what did not pass.
    """

    def __init__(self, dropout: float):
        super().__init__()
        self.dropout = dropout

    def construct(self, x: Tensor, dropout_mask: Tensor) -> Tensor:
        return ops.relu(x) * cast(dropout_mask, x.dtype)

    def bprop(self, x, dropout_mask, out, dout):  # noqa: ANN001, ANN201
        return cast(to_float32(dout) * dropout_mask_from_output(out, self.dropout), x.dtype), zeros(
            dropout_mask.shape, dout, dropout_mask.dtype
        )


class Prenet(nn.Cell):
    """Two ReLU layers without bias, (N, n_in) -> (N, prenet_dim).

    Dropout stays on at inference, where it makes the speech vary.
    """

    def __init__(self, n_in: int, n_out: int, dropout: float):
        super().__init__()
        self.first = Linear(n_in, n_out, bias=False, gain=INITIAL_GAINS["relu"])
        self.second = Linear(n_out, n_out, bias=False, gain=INITIAL_GAINS["relu"])
        self.dropout, self.dropped_relu = DropoutMask(dropout, always=True), DroppedRelu(dropout)
        self.n_out = n_out

    def construct(self, frames: Tensor, dropout_mask: Tensor) -> Tensor:
        """Run on frames (N, n_in). dropout_mask (N, 2 * n_out) holds the masks of both layers side by side."""
        x = self.dropped_relu(self.first(frames), dropout_mask[:, : self.n_out])
        return self.dropped_relu(self.second(x), dropout_mask[:, self.n_out :])


def as_rows(steps: tuple[Tensor, ...]) -> Tensor:
    """Stack the tensors of a few steps: K of (...) -> (K, ...)."""
    return ops.Stack(0)(steps) if len(steps) > 1 else steps[0].expand_dims(0)


class Decoder(FreeRunningLoop):
    """Teacher-forced (`construct`) and free-running (`free_run`) decoder; a step's r frames lie side by side."""

    def __init__(self, config: Config):
        super().__init__()
        model = config.model
        self.n_frame = config.audio.n_mels * model.reduction_factor
        self.reduction_factor = model.reduction_factor
        self.prenet = Prenet(self.n_frame, model.prenet_dim, model.prenet_dropout)
        self.teacher_dropout = config.train.teacher_dropout
        self.teacher_dropout_mask = DropoutMask(self.teacher_dropout)
        self.attention = Attention(model)
        n_state = model.attention_rnn_dim + model.encoder_dim
        self.lstm = LSTM(n_state, model.decoder_rnn_dim, model.decoder_dropout)
        # r mel frames, then the gate
        self.projection = Linear(model.decoder_rnn_dim + model.encoder_dim, self.n_frame + 1)
        self.n_memory, self.gate_threshold = model.encoder_dim, model.gate_threshold
        self.attention_stop_steps = attention_stop_steps(model.attention_stop_frames, model.reduction_factor)

    def construct(self, frames: Tensor, memory: Tensor, energy_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Decode teacher forced: target frames (T, B, r * n_mels), memory (B, L, E), energy mask (B, L).

        Returns frames (T, B, r * n_mels), gate logits (T, B) and attention weights (T, B, L).
        """
        n_steps, n_batch, _ = frames.shape
        teacher = one_step_later(frames.reshape(-1, self.n_frame), n_batch)
        if self.teacher_dropout and self.training:
            teacher_mask = self.teacher_dropout_mask((n_steps * n_batch, 1), teacher)
            teacher_mask = teacher_mask * (1 - self.teacher_dropout)  # 0 or 1
            teacher = teacher * broadcast_last(teacher_mask, self.n_frame)
        dropout_mask = self.prenet.dropout((n_steps * n_batch, 2 * self.prenet.n_out), teacher)
        x = self.prenet(teacher, dropout_mask).reshape(n_steps, n_batch, -1)
        states, weights = self.attention(x, memory, energy_mask)
        # Attention does not depend on the decoder LSTM, so that LSTM runs over the whole sequence at once.
        decoder_hidden = self.lstm(states)
        outputs = to_float32(self._project(decoder_hidden, states))
        return outputs[:, :, : self.n_frame], outputs[:, :, self.n_frame], weights

    def _project(self, decoder_hidden: Tensor, states: Tensor) -> Tensor:
        """Apply `projection` to decoder_hidden (T, B, decoder_rnn_dim) and the context: -> (T, B, r * n_mels + 1).

        The context is the last part of `states` (T, B, attention_rnn_dim + E). Concatenated with decoder_hidden it
        would be a copy that training has to keep. So all of `states` is multiplied, the attention's h by rows of zeros.
        """
        layer, n_hidden = self.projection, self.lstm.n_hidden
        weight = parameter_view(layer.weight)
        no_weight = ops.zeros((self.attention.n_hidden, layer.n_out), weight.dtype)
        states_weight = concat_rows((no_weight, weight[n_hidden:]))
        y = layer.product(decoder_hidden.reshape(-1, n_hidden), weight[:n_hidden])
        y = y + layer.product(states.reshape(-1, states.shape[-1]), states_weight)
        return layer.add_bias(y, parameter_view(layer.bias)).reshape((*decoder_hidden.shape[:-1], layer.n_out))

    def state_weights(self, n_batch: int) -> tuple[Tensor, Tensor]:
        """Weights of both LSTMs in the form that `step` multiplies by."""
        if uses_transposed_weights(n_batch):
            return transpose_weight(self.attention.weight), transpose_weight(self.lstm.weight)
        return self.attention.weight, self.lstm.weight

    def state_sizes(self, length: int) -> tuple[int, ...]:
        """Channels of each state of `step`, in its order, for texts of `length` symbols."""
        n_attention, n_decoder = self.attention.n_hidden, self.lstm.n_hidden
        return n_attention, n_attention, self.n_memory, length, length, n_decoder, n_decoder

    def step(  # noqa: ANN201
        self, frame: Tensor, dropout_mask: Tensor, state: tuple[Tensor, ...], constants: tuple[Tensor, ...]
    ):
        """Run one free-running step.

        Args:
            frame: frames of the step before, (B, r * n_mels).
            dropout_mask: the prenet's, (B, 2 * prenet_dim).
            state: attention_hidden and attention_cell (B, attention_rnn_dim), context (B, E), attention weights and
                their running sum (B, L), decoder_hidden and decoder_cell (B, decoder_rnn_dim), all of the step before.
            constants: memory (B, L, E), its keys (B, L, A), energy mask (B, L), `Attention.location`, `state_weights`.

        Returns:
            The next frames, the gate's probability (B,), the new state.
        """
        attention_hidden, attention_cell, context, weights, weights_cum, decoder_hidden, decoder_cell = state
        memory, keys, energy_mask, location, attention_weight, lstm_weight = constants
        attention, lstm = self.attention, self.lstm
        product = matmul_state if uses_transposed_weights(frame.shape[0]) else matmul_fp32
        x = self.prenet(frame, dropout_mask)
        attention_hidden, attention_cell = lstm_step(
            product(concat_last((x, context, attention_hidden)), attention_weight) + attention.bias, attention_cell
        )
        weights, weights_cum, context = attend(
            matmul(attention_hidden, attention.query),
            weights,
            weights_cum,
            memory,
            keys,
            energy_mask,
            attention.v,
            location,
        )
        decoder_hidden, decoder_cell = lstm_step(
            product(concat_last((attention_hidden, context, decoder_hidden)), lstm_weight) + lstm.bias, decoder_cell
        )
        output = self.projection(concat_last((decoder_hidden, context)))
        return (
            output[:, : self.n_frame],
            ops.sigmoid(output[:, self.n_frame]),
            (attention_hidden, attention_cell, context, weights, weights_cum, decoder_hidden, decoder_cell),
        )

    def free_run(self, memory: Tensor, energy_mask: Tensor, last_symbol: Tensor, dropout_mask: Tensor):  # noqa: ANN201
        """Decode each item from its own output until it stops, in one loop that ends when all items have stopped.

        Args:
            memory: (B, L, E).
            energy_mask: (B, L).
            last_symbol: (B, L), 1 at each item's last symbol.
            dropout_mask: the prenet's, (T, B, 2 * prenet_dim), T = max_decoder_steps.

        Returns:
            frames (T, B, r * n_mels) and attention weights (T, B, L), unspecified beyond the end of the speech; steps
            int32 (B,); stop reasons, int32 (B,).
        """
        n_batch, length, _ = memory.shape
        max_steps, k = dropout_mask.shape[0], self.block
        n_blocks = -(-max_steps // k)
        if n_blocks * k > max_steps:
            missing = ops.zeros((n_blocks * k - max_steps, *dropout_mask.shape[1:]), dropout_mask.dtype)
            dropout_mask = concat_rows((dropout_mask, missing))
        attention = self.attention
        constants = (memory, attention.keys(memory), energy_mask, attention.location(), *self.state_weights(n_batch))
        all_frames = zeros((n_blocks * k, n_batch, self.n_frame), memory)
        # Not after `memory`: the graph would merge it with the buffer of frames, should the two have the same shape.
        all_weights = zeros((n_blocks * k, n_batch, length), energy_mask)
        frame = ops.zeros((n_batch, self.n_frame), ms.float32)
        attention_hidden, attention_cell, context, weights, weights_cum, decoder_hidden, decoder_cell = (
            ops.zeros((n_batch, size), ms.float32) for size in self.state_sizes(length)
        )
        resting_steps = ops.zeros((n_batch,), ms.int32)
        steps = ops.zeros((n_batch,), ms.int32)
        reason = ops.zeros((n_batch,), ms.int32)
        t = Tensor(0, ms.int32)
        while ops.logical_and(t < n_blocks, (reason == NOT_STOPPED).any()):
            rows = block_rows(t, k) if k > 1 else t.reshape(1)
            masks = unstack(take_rows(dropout_mask, rows)) if k > 1 else (take_rows(dropout_mask, t),)
            block_frames, block_weights = (), ()
            for i in range(k):
                state = (attention_hidden, attention_cell, context, weights, weights_cum, decoder_hidden, decoder_cell)
                frame, gate, state = self.step(frame, masks[i], state, constants)
                attention_hidden, attention_cell, context, weights, weights_cum, decoder_hidden, decoder_cell = state
                block_frames, block_weights = (*block_frames, frame), (*block_weights, weights)
                running = (reason == NOT_STOPPED).astype(ms.int32)
                if n_blocks * k > max_steps:
                    running = running * (t * k + i < max_steps).astype(ms.int32)
                steps = steps + running
                is_resting = ((weights * last_symbol).sum(-1) > RESTING_WEIGHT).astype(ms.int32)
                resting_steps = (resting_steps + 1) * is_resting
                reason = reason + running * self._stop(gate, resting_steps)
            all_frames = write_rows(all_frames, rows, as_rows(block_frames))
            all_weights = write_rows(all_weights, rows, as_rows(block_weights))
            t = t + 1
        if n_blocks * k > max_steps:
            all_frames, all_weights = all_frames[:max_steps], all_weights[:max_steps]
        return all_frames, all_weights, steps, reason

    def _stop(self, gate: Tensor, resting_steps: Tensor) -> Tensor:
        """Number of the reason (B,) to stop after a step, from its gate and the steps that attention has rested."""
        by_gate = (gate > self.gate_threshold).astype(ms.int32)
        stop = STOPPED_BY_GATE * by_gate
        if self.attention_stop_steps > 0:
            rested = (resting_steps >= self.attention_stop_steps).astype(ms.int32)
            stop = stop + STOPPED_BY_ATTENTION * (1 - by_gate) * rested
        return stop
