"""Ready Linen models for sweeps: what is traced in them costs no compilation."""

from bojax.training.models.cnn import CNN
from bojax.training.models.gru import GRU
from bojax.training.models.layered import OPERATIONS, Layered
from bojax.training.models.mlp import ACTIVATIONS, MLP
from bojax.training.models.transformer import CharTransformer, VisionTransformer

__all__ = [
    "ACTIVATIONS",
    "CNN",
    "GRU",
    "MLP",
    "OPERATIONS",
    "CharTransformer",
    "Layered",
    "VisionTransformer",
]
