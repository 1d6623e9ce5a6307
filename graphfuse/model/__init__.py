"""The model, and the folder it is saved to and opened from."""

from graphfuse.model.fusion_model import FusionModel, Output, find_fusion

__all__ = ["FusionModel", "Output", "find_fusion"]
