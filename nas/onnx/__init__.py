"""ONNX files: read into graphs."""
