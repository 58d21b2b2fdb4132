"""Training: the loop, the optimiser step as one graph, and a task for each network."""
