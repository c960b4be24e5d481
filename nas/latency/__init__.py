"""What a network costs on a device."""

from nas.latency.device import Device
from nas.latency.estimate import Estimate, Source
from nas.latency.home import DeviceHome, device_home
from nas.latency.load import load_latency
from nas.latency.model import LatencyModel

__all__ = ["Device", "DeviceHome", "Estimate", "LatencyModel", "Source", "device_home", "load_latency"]
