"""The course's layers and models for Keras 3, on any of its backends."""

from coursekit.keras.attention import BahdanauAttention, LuongAttention
from coursekit.keras.position import sinusoidal_positions
from coursekit.keras.seq2seq import Seq2Seq
from coursekit.keras.training import Progress, Reached

__all__ = ["BahdanauAttention", "LuongAttention", "Progress", "Reached", "Seq2Seq", "sinusoidal_positions"]
