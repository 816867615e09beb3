"""The layers of the course in PyTorch."""

from coursekit.torch.attention import (
    BahdanauAttention,
    LuongAttention,
    MultiHeadAttention,
    causal_mask,
    padding_mask,
    scaled_dot_product_attention,
)
from coursekit.torch.position import LearnedPositions, PositionalEncoding, rotary, sinusoidal_positions
from coursekit.torch.seq2seq import Seq2Seq
from coursekit.torch.training import fit, patience, reached
from coursekit.torch.transformer import Encoder, EncoderLayer, FeedForward

__all__ = [
    "BahdanauAttention", "Encoder", "EncoderLayer", "FeedForward", "LearnedPositions", "LuongAttention",
    "MultiHeadAttention", "PositionalEncoding", "Seq2Seq", "causal_mask", "fit", "padding_mask", "patience", "reached",
    "rotary", "scaled_dot_product_attention", "sinusoidal_positions",
]
