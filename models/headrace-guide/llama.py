"""The network: a small llama.

RMSNorm, rotary positions in half-split order, grouped-query attention, SwiGLU, tied head. In: token
ids [batch, length]. Out: logits for the rows that are asked for. Modules are named so that the
state dict's keys are those of Hugging Face's LlamaForCausalLM.

Sequences of a batch are padded on the right: causal attention never lets a real token see what is
after it, so no other mask is needed. Rotary attention sees distances only, so where a sequence
starts changes nothing; what has to be trained are distances, and `positions` may have gaps for it.

Knows: tensors. Does not know: text, training, files.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional


@dataclass
class Shape:
    vocab_size: int = 1536
    hidden_size: int = 192
    intermediate_size: int = 512
    layers: int = 6
    heads: int = 6
    kv_heads: int = 2
    head_dim: int = 32
    context_length: int = 2048
    rope_theta: float = 10000.0
    norm_epsilon: float = 1e-5


class RMSNorm(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape.hidden_size))
        self.epsilon = shape.norm_epsilon

    def forward(self, x):
        x = x.float()
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.epsilon) * self.weight


class Attention(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.q_proj = nn.Linear(shape.hidden_size, shape.heads * shape.head_dim, bias=False)
        self.k_proj = nn.Linear(shape.hidden_size, shape.kv_heads * shape.head_dim, bias=False)
        self.v_proj = nn.Linear(shape.hidden_size, shape.kv_heads * shape.head_dim, bias=False)
        self.o_proj = nn.Linear(shape.heads * shape.head_dim, shape.hidden_size, bias=False)

    def forward(self, x, rotation, mask):
        batch, length, _ = x.shape
        shape = self.shape

        def heads_of(projection, count):
            return projection(x).view(batch, length, count, shape.head_dim).transpose(1, 2)

        queries = rotate(heads_of(self.q_proj, shape.heads), rotation)
        keys = rotate(heads_of(self.k_proj, shape.kv_heads), rotation)
        values = heads_of(self.v_proj, shape.kv_heads)

        # The query heads of one group are laid one below the other, against their one key head.
        group = shape.heads // shape.kv_heads
        queries = queries.reshape(batch, shape.kv_heads, group * length, shape.head_dim)
        scores = queries @ keys.transpose(-1, -2) * shape.head_dim**-0.5
        scores = scores.view(batch, shape.kv_heads, group, length, length) + mask
        weights = functional.softmax(scores.float(), dim=-1).to(values.dtype)
        mixed = weights.view(batch, shape.kv_heads, group * length, length) @ values
        mixed = mixed.view(batch, shape.heads, length, shape.head_dim).transpose(1, 2)
        return self.o_proj(mixed.reshape(batch, length, -1))


class MLP(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.up_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.down_proj = nn.Linear(shape.intermediate_size, shape.hidden_size, bias=False)

    def forward(self, x):
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, shape, dropout):
        super().__init__()
        self.input_layernorm = RMSNorm(shape)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = RMSNorm(shape)
        self.mlp = MLP(shape)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, rotation, mask):
        x = x + self.dropout(self.self_attn(self.input_layernorm(x), rotation, mask))
        return x + self.dropout(self.mlp(self.post_attention_layernorm(x)))


class Stack(nn.Module):
    def __init__(self, shape, dropout):
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(Layer(shape, dropout) for _ in range(shape.layers))
        self.norm = RMSNorm(shape)
        self.dropout = nn.Dropout(dropout)


class Llama(nn.Module):
    def __init__(self, shape, dropout=0.0):
        super().__init__()
        self.shape = shape
        self.model = Stack(shape, dropout)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                # What adds to the residual stream starts smaller, whose variance else grows.
                residual = name.endswith(('o_proj.weight', 'down_proj.weight'))
                nn.init.normal_(
                    parameter, std=0.02 / (2 * shape.layers) ** 0.5 if residual else 0.02
                )

    def forward(self, ids, rows=None, positions=None):
        """Logits [n, vocab] of `rows` (indices into batch × length, flattened), or of all."""
        batch, length = ids.shape
        if positions is None:
            positions = torch.arange(length).expand(batch, length)
        rotation = rotation_of(positions, self.shape)
        mask = torch.full((length, length), float('-inf')).triu(1)
        x = self.model.dropout(self.model.embed_tokens(ids))
        for layer in self.model.layers:
            x = layer(x, rotation, mask)
        x = x.reshape(batch * length, -1)
        x = self.model.norm(x if rows is None else x[rows])
        return functional.linear(x, self.model.embed_tokens.weight)


def rotation_of(positions, shape):
    half = torch.arange(0, shape.head_dim, 2, dtype=torch.float32)
    angles = positions[..., None].float() * shape.rope_theta ** (-half / shape.head_dim)
    angles = torch.cat([angles, angles], dim=-1)[:, None]
    return angles.cos(), angles.sin()


def rotate(x, rotation):
    cos, sin = rotation
    first, second = x.chunk(2, dim=-1)
    return (x * cos + torch.cat([-second, first], dim=-1) * sin).to(x.dtype)
