"""Tacotron 2 (Shen et al. 2018, "Natural TTS synthesis by conditioning WaveNet on mel spectrogram predictions")."""
