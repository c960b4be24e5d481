"""Where a stopwatch meets hardware: ways to time network files on a device.

It re-exports nothing, as `nas.runners.worker` must bring nothing of ours into the process that it times in.
"""
