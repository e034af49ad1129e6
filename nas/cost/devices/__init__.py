"""Latencies on several devices: who measures on each, and what is known of one network."""

from nas.cost.devices.latencies import DeviceConditions, DeviceLatencies

__all__ = ["DeviceConditions", "DeviceLatencies"]
