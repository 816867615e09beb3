"""The layers of the course in PyTorch."""

from coursekit.torch.attention import (
    BahdanauAttention,
    LuongAttention,
    MultiHeadAttention,
    causal_mask,
    padding_mask,
    scaled_dot_product_attention,
)
from coursekit.torch.bert import (
    Bert,
    BertConfig,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
)
from coursekit.torch.debugging import report_nan
from coursekit.torch.decoder import Decoder, DecoderLayer, DecoderWeights, Transformer
from coursekit.torch.generation import beam_search, filter_logits, greedy, sample
from coursekit.torch.language_model import KVCache, LanguageModel
from coursekit.torch.position import LearnedPositions, PositionalEncoding, rotary, sinusoidal_positions
from coursekit.torch.seq2seq import Seq2Seq
from coursekit.torch.training import fit, linear_decay, patience, reached, warm_up
from coursekit.torch.transformer import Encoder, EncoderLayer, FeedForward
from coursekit.torch.translation import TranslationModel

__all__ = [
    "BahdanauAttention", "Bert", "BertConfig", "BertForPreTraining", "BertForQuestionAnswering",
    "BertForSequenceClassification", "BertForTokenClassification", "Decoder", "DecoderLayer", "DecoderWeights",
    "Encoder", "EncoderLayer", "FeedForward", "KVCache", "LanguageModel", "LearnedPositions", "LuongAttention",
    "MultiHeadAttention", "PositionalEncoding", "Seq2Seq", "Transformer", "TranslationModel", "beam_search",
    "causal_mask", "filter_logits", "fit", "greedy", "linear_decay", "padding_mask", "patience", "reached",
    "report_nan", "rotary", "sample", "scaled_dot_product_attention", "sinusoidal_positions", "warm_up",
]
