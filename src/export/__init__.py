"""Export of trained networks for inference: MINDIR, ONNX and AIR files."""
