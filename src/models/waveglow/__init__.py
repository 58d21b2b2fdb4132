"""WaveGlow (Prenger et al. 2018, "WaveGlow: a flow-based generative network for speech synthesis")."""
