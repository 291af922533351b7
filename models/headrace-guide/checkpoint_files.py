"""The checkpoint folder, written and read: config.json, model.safetensors, tokenizer.json and more.

The safetensors format is eight bytes of header length (little-endian), a JSON header that gives
each tensor's dtype, shape and byte range, and the bytes. Values are BF16: the upper half of a
float32, rounded to nearest even.

Knows: Hugging Face's file formats. Does not know: how the weights came to be.
"""

import json
import re
import struct
from pathlib import Path

import torch

from byte_pairs import END_OF_TEXT, TURN_END, TURN_START, Tokenizer
from llama import Llama, Shape

CHAT_TEMPLATE = (
    '{% for message in messages %}'
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    '{% endfor %}'
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

CARD = """\
---
license: apache-2.0
language: en
pipeline_tag: text-generation
---

# headrace-guide

A small llama that answers questions about Headrace. It was trained from nothing by `train.py` of
the folder above, on the questions and answers beside it. It knows nothing else.
"""


SHORT_LIST = re.compile(r'\[\n\s+([^\[\]{}]{1,60})\n\s+\]')
LINE_BREAK = re.compile(r',\n\s+')


def save_checkpoint(folder, model, tokenizer):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / 'config.json', config_of(model.shape, tokenizer))
    write_json(
        folder / 'generation_config.json',
        {'eos_token_id': end_ids(tokenizer), 'pad_token_id': tokenizer.id_of(END_OF_TEXT)},
    )
    write_json(folder / 'tokenizer.json', tokenizer.to_json())
    write_json(folder / 'tokenizer_config.json', tokenizer_config(model.shape, tokenizer))
    write_safetensors(folder / 'model.safetensors', model.state_dict())
    (folder / 'README.md').write_text(CARD, encoding='utf-8')


def load_checkpoint(folder):
    folder = Path(folder)
    config = json.loads((folder / 'config.json').read_text(encoding='utf-8'))
    shape = Shape(
        vocab_size=config['vocab_size'],
        hidden_size=config['hidden_size'],
        intermediate_size=config['intermediate_size'],
        layers=config['num_hidden_layers'],
        heads=config['num_attention_heads'],
        kv_heads=config['num_key_value_heads'],
        head_dim=config['head_dim'],
        context_length=config['max_position_embeddings'],
        rope_theta=config['rope_theta'],
        norm_epsilon=config['rms_norm_eps'],
    )
    model = Llama(shape)
    model.load_state_dict(read_safetensors(folder / 'model.safetensors'))
    model.eval()
    tokenizer = Tokenizer.from_json(
        json.loads((folder / 'tokenizer.json').read_text(encoding='utf-8'))
    )
    return model, tokenizer


def end_ids(tokenizer):
    return [tokenizer.id_of(TURN_END), tokenizer.id_of(END_OF_TEXT)]


def config_of(shape, tokenizer):
    return {
        'architectures': ['LlamaForCausalLM'],
        'attention_bias': False,
        'attention_dropout': 0.0,
        'bos_token_id': None,
        'eos_token_id': tokenizer.id_of(TURN_END),
        'head_dim': shape.head_dim,
        'hidden_act': 'silu',
        'hidden_size': shape.hidden_size,
        'initializer_range': 0.02,
        'intermediate_size': shape.intermediate_size,
        'max_position_embeddings': shape.context_length,
        'mlp_bias': False,
        'model_type': 'llama',
        'num_attention_heads': shape.heads,
        'num_hidden_layers': shape.layers,
        'num_key_value_heads': shape.kv_heads,
        'pad_token_id': tokenizer.id_of(END_OF_TEXT),
        'pretraining_tp': 1,
        'rms_norm_eps': shape.norm_epsilon,
        'rope_scaling': None,
        'rope_theta': shape.rope_theta,
        'tie_word_embeddings': True,
        'torch_dtype': 'bfloat16',
        'use_cache': True,
        'vocab_size': shape.vocab_size,
    }


def tokenizer_config(shape, tokenizer):
    return {
        'add_bos_token': False,
        'add_prefix_space': False,
        'added_tokens_decoder': {
            str(token['id']): {key: token[key] for key in token if key != 'id'}
            for token in tokenizer.to_json()['added_tokens']
        },
        'additional_special_tokens': [TURN_START, TURN_END],
        'bos_token': None,
        'chat_template': CHAT_TEMPLATE,
        'clean_up_tokenization_spaces': False,
        'eos_token': TURN_END,
        'model_max_length': shape.context_length,
        'pad_token': END_OF_TEXT,
        'tokenizer_class': 'PreTrainedTokenizerFast',
        'unk_token': None,
    }


def write_json(path, value):
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # Short lists on one line and 1e-5 for 1e-05: the repository's formatter has nothing to change.
    text = SHORT_LIST.sub(lambda found: f'[{LINE_BREAK.sub(", ", found[1])}]', text)
    text = re.sub(r'(": \d+e-)0', r'\1', text)
    path.write_text(text + '\n', encoding='utf-8')


def write_safetensors(path, tensors):
    header, chunks, offset = {'__metadata__': {'format': 'pt'}}, [], 0
    for name in sorted(tensors):
        chunk = bf16_bytes(tensors[name])
        header[name] = {
            'dtype': 'BF16',
            'shape': list(tensors[name].shape),
            'data_offsets': [offset, offset + len(chunk)],
        }
        chunks.append(chunk)
        offset += len(chunk)
    head = json.dumps(header, separators=(',', ':')).encode()
    head += b' ' * (-len(head) % 8)
    path.write_bytes(struct.pack('<Q', len(head)) + head + b''.join(chunks))


def read_safetensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack_from('<Q', data)
    header = json.loads(data[8 : 8 + length])
    header.pop('__metadata__', None)
    tensors = {}
    for name, entry in header.items():
        if entry['dtype'] != 'BF16':
            raise ValueError(f'{path}: {name} is {entry["dtype"]}, only BF16 is read here')
        start, end = (8 + length + offset for offset in entry['data_offsets'])
        values = torch.frombuffer(bytearray(data[start:end]), dtype=torch.bfloat16)
        tensors[name] = values.float().view(entry['shape'])
    return tensors


def bf16_bytes(tensor):
    # numpy has no bfloat16, so the bytes are taken through a view as 16-bit integers.
    return tensor.detach().to(torch.bfloat16).contiguous().view(torch.int16).numpy().tobytes()
