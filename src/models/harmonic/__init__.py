"""The harmonic vocoder: pulses and noise, filtered frame by frame."""
