"""One training step: its batches, its passes, its update, and how a GPU repeats it."""

from trainers.step.capture_mark import CaptureMark
from trainers.step.draw_ahead import draw_batches
from trainers.step.eager import EagerStep
from trainers.step.graphed import GraphedStep
from trainers.step.layout import channels_last, choose_layout
from trainers.step.optimizer import ScheduledAdamW
from trainers.step.training_step import training_step

__all__ = [
    "CaptureMark",
    "EagerStep",
    "GraphedStep",
    "ScheduledAdamW",
    "channels_last",
    "choose_layout",
    "draw_batches",
    "training_step",
]
