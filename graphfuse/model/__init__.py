"""The model, and the folder it is saved to and opened from."""

from graphfuse.model.fusion_model import FusionModel, Output, find_fusion
from graphfuse.model.ruled import Ruled, plain

__all__ = ["FusionModel", "Output", "Ruled", "find_fusion", "plain"]
