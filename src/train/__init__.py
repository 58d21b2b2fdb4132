"""Training: the step as one graph, what is fed to it, and the loop around it."""
