"""One training step: its batches, its passes, its update, and how a GPU repeats it."""

from trainers.step.capture_mark import CaptureMark
from trainers.step.draw_ahead import draw_batches
from trainers.step.eager import EagerStep
from trainers.step.graphed import GraphedStep
from trainers.step.layout import channels_last, choose_layout
from trainers.step.optimizer import ScheduledOptimizer
from trainers.step.rates import layer_scales
from trainers.step.training_step import training_step

__all__ = [
    "CaptureMark",
    "EagerStep",
    "GraphedStep",
    "ScheduledOptimizer",
    "channels_last",
    "choose_layout",
    "draw_batches",
    "layer_scales",
    "training_step",
]
