"""The course's layers and models for Keras 3, on any of its backends."""

from coursekit.keras.attention import (
    BahdanauAttention,
    LuongAttention,
    MultiHeadAttention,
    causal_mask,
    padding_mask,
    scaled_dot_product_attention,
)
from coursekit.keras.bert import (
    Bert,
    BertConfig,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    span_loss,
)
from coursekit.keras.debugging import report_nan
from coursekit.keras.position import LearnedPositions, PositionalEncoding, rotary, sinusoidal_positions
from coursekit.keras.seq2seq import Seq2Seq
from coursekit.keras.training import Batches, LinearDecay, Progress, Reached
from coursekit.keras.transformer import Encoder, EncoderLayer, FeedForward

__all__ = [
    "BahdanauAttention", "Batches", "Bert", "BertConfig", "BertForPreTraining", "BertForQuestionAnswering",
    "BertForSequenceClassification", "BertForTokenClassification", "Encoder", "EncoderLayer", "FeedForward",
    "LearnedPositions", "LinearDecay", "LuongAttention", "MultiHeadAttention", "PositionalEncoding", "Progress",
    "Reached", "Seq2Seq", "causal_mask", "padding_mask", "report_nan", "rotary", "scaled_dot_product_attention",
    "sinusoidal_positions", "span_loss",
]
