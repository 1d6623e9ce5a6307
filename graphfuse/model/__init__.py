"""The model, and the folder it is saved to and opened from."""

from graphfuse.model.fusion_model import FusionModel, Output

__all__ = ["FusionModel", "Output"]
