"""WaveGlow (Prenger et al. 2018), one file per part of the paper."""
