"""What a runtime adds to a network: copies into its layouts, parts that it moves elsewhere."""

from nas.runtimes.runtime import ONNX_RUNTIME, OWN, Runtime, find_runtime, usual_key

__all__ = ["ONNX_RUNTIME", "OWN", "Runtime", "find_runtime", "usual_key"]
