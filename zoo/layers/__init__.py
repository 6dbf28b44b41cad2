"""Keras layers for attention, positions and Transformer blocks."""

from zoo.layers.attention import MultiHeadAttention
from zoo.layers.blocks import ParallelBlock, TransformerBlock
from zoo.layers.embedding import TokenEmbedding, take_rows
from zoo.layers.encoder_parts import (
    Bias,
    LastToken,
    MeanPooling,
    Pooler,
    PredictionTransform,
    SegmentEmbedding,
    TakePositions,
)
from zoo.layers.feedforward import FeedForward, GatedFeedForward, SwiGLU, gelu_tanh
from zoo.layers.head_loss import head_cross_entropy
from zoo.layers.losses import TokenCrossEntropy, is_likeliest, token_nats
from zoo.layers.masks import (
    causal_mask,
    combine_masks,
    open_empty_rows,
    padding_mask_to_attention,
)
from zoo.layers.positions import (
    ALiBi,
    AttentionPosition,
    PositionEmbedding,
    RelativePositionBias,
    SinusoidalPositions,
)
from zoo.layers.recurrent import BidirectionalLSTM, LSTMLayer
from zoo.layers.recurrent_attention import BahdanauAttention, LuongAttention, RecurrentDecoder
from zoo.layers.recurrent_dropout import LockedDropout, WordDropout
from zoo.layers.rotary import RotaryEmbedding
from zoo.layers.watching import watch

__all__ = [
    "ALiBi",
    "AttentionPosition",
    "BahdanauAttention",
    "Bias",
    "BidirectionalLSTM",
    "FeedForward",
    "GatedFeedForward",
    "LSTMLayer",
    "LastToken",
    "LockedDropout",
    "LuongAttention",
    "MeanPooling",
    "MultiHeadAttention",
    "ParallelBlock",
    "Pooler",
    "PositionEmbedding",
    "PredictionTransform",
    "RecurrentDecoder",
    "RelativePositionBias",
    "RotaryEmbedding",
    "SegmentEmbedding",
    "SinusoidalPositions",
    "SwiGLU",
    "TakePositions",
    "TokenCrossEntropy",
    "TokenEmbedding",
    "TransformerBlock",
    "WordDropout",
    "causal_mask",
    "combine_masks",
    "gelu_tanh",
    "head_cross_entropy",
    "is_likeliest",
    "open_empty_rows",
    "padding_mask_to_attention",
    "take_rows",
    "token_nats",
    "watch",
]
