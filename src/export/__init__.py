"""Trained networks as files for inference: MINDIR, ONNX, AIR."""
