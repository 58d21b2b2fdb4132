"""The training loss (Prenger et al. 2018, sec. 2): negative log-likelihood under a Gaussian, without its constant."""

from mindspore import Tensor, nn


class WaveGlowLoss(nn.Cell):
    """Negative log-likelihood, (sum z^2 / 2 sigma^2 - sum log s - sum log |det W|), per value of z.

    Args:
        sigma: standard deviation of the Gaussian.
    """

    def __init__(self, sigma: float):
        super().__init__()
        self.sigma = sigma

    def construct(self, z: Tensor, log_s_sum: Tensor, log_det_sum: Tensor) -> Tensor:
        """z (B, n_group, T) and the two sums that `WaveGlow` returns with it -> scalar, nats per sample."""
        return ((z * z).sum() / (2 * self.sigma**2) - log_s_sum - log_det_sum) / z.size
