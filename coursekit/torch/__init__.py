"""The layers of the course in PyTorch."""

from coursekit.torch.attention import BahdanauAttention, LuongAttention
from coursekit.torch.position import sinusoidal_positions
from coursekit.torch.seq2seq import Seq2Seq
from coursekit.torch.training import fit, patience, reached

__all__ = ["BahdanauAttention", "LuongAttention", "Seq2Seq", "fit", "patience", "reached", "sinusoidal_positions"]
