"""Networks that share their weights: one training for all networks of a space."""

from search_spaces.elastic import refused
from search_spaces.supernet.draws import Draws
from search_spaces.supernet.supernet import Supernet

__all__ = ["Draws", "Supernet", "refused"]
