"""The byte-level BPE tokenizer: training, encoding, decoding, Hugging Face's tokenizer.json.

In: a Counter of pieces (to train) or text (to encode). Out: token ids. Every text can be encoded,
because the 256 bytes are tokens themselves.

The alphabet and the split into pieces are GPT-2's, since that is what `ByteLevel` means in
tokenizer.json. The split is scanned by hand: Python's `re` has no \\p{L} and \\p{N}, and its \\s
and \\d are other sets than Unicode's.

Knows: text and ids. Does not know: chats, the network, files.
"""

import unicodedata
from collections import Counter
from functools import lru_cache

END_OF_TEXT = '<|endoftext|>'
TURN_START = '<|im_start|>'
TURN_END = '<|im_end|>'
SPECIAL_TOKENS = [END_OF_TEXT, TURN_START, TURN_END]

CONTRACTIONS = ("'re", "'ve", "'ll", "'s", "'t", "'m", "'d")
# The White_Space property; str.isspace() would add U+001C to U+001F.
SPACES = set('\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000') | {
    chr(code) for code in range(0x2000, 0x200B)
}


def byte_alphabet():
    """The printable character of each byte: itself where it is one, else from U+0100 upwards."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    alphabet = {byte: chr(byte) for byte in printable}
    for byte in range(256):
        if byte not in alphabet:
            alphabet[byte] = chr(256 + len(alphabet) - len(printable))
    return alphabet


def kind_of(character):
    if character in SPACES:
        return 'space'
    category = unicodedata.category(character)[0]
    return {'L': 'letter', 'N': 'number'}.get(category, 'other')


def split_pieces(text):
    """GPT-2's pattern:

    's|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+
    """
    pieces = []
    at = 0
    while at < len(text):
        contraction = next((c for c in CONTRACTIONS if text.startswith(c, at)), None)
        if contraction:
            pieces.append(contraction)
            at += len(contraction)
            continue
        # One ordinary space belongs to the word after it.
        first = at + 1 if text[at] == ' ' and at + 1 < len(text) else at
        kind = kind_of(text[first])
        if kind == 'space':
            first, kind = at, kind_of(text[at])
        end = first + 1
        while end < len(text) and kind_of(text[end]) == kind:
            end += 1
        # Of several spaces before a word the last is left over, for the word or to stand alone.
        if kind == 'space' and end < len(text) and end - at > 1:
            end -= 1
        pieces.append(text[at:end])
        at = end
    return pieces


def train_merges(pieces, count):
    """The `count` most useful merges, best first; of equals the alphabetically first, always."""
    alphabet = byte_alphabet()
    words = [
        ([alphabet[byte] for byte in piece.encode()], weight)
        for piece, weight in sorted(pieces.items())
    ]
    merges = []
    while len(merges) < count:
        pairs = Counter()
        for symbols, weight in words:
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += weight
        if not pairs:
            raise ValueError(f'the text gives only {len(merges)} merges, {count} are wanted')
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for symbols, _ in words:
            merge_pair(symbols, best)
    return merges


def merge_pair(symbols, pair):
    """Joins every occurrence of `pair` in place, from left to right."""
    at = 0
    while at < len(symbols) - 1:
        if symbols[at] == pair[0] and symbols[at + 1] == pair[1]:
            symbols[at : at + 2] = [pair[0] + pair[1]]
        at += 1


class Tokenizer:
    def __init__(self, merges):
        self.alphabet = byte_alphabet()
        self.bytes_of = {character: byte for byte, character in self.alphabet.items()}
        self.merges = [tuple(pair) for pair in merges]
        self.ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        tokens = SPECIAL_TOKENS + [self.alphabet[byte] for byte in range(256)]
        tokens += [left + right for left, right in self.merges]
        self.ids = {token: id for id, token in enumerate(tokens)}
        self.tokens = tokens
        self.encode_piece = lru_cache(maxsize=100_000)(self.encode_piece)

    @classmethod
    def from_json(cls, json):
        return cls(merge.split(' ') for merge in json['model']['merges'])

    def encode_piece(self, piece):
        symbols = [self.alphabet[byte] for byte in piece.encode()]
        while len(symbols) > 1:
            known = [pair for pair in zip(symbols, symbols[1:]) if pair in self.ranks]
            if not known:
                break
            merge_pair(symbols, min(known, key=self.ranks.get))
        return [self.ids[symbol] for symbol in symbols]

    def encode(self, text):
        """Ids of plain text; special tokens are written with `id_of`, never found in text."""
        return [id for piece in split_pieces(text) for id in self.encode_piece(piece)]

    def id_of(self, special):
        return self.ids[special]

    def decode(self, ids):
        """Text of ids, special tokens left out."""
        characters = ''.join(self.tokens[id] for id in ids if id >= len(SPECIAL_TOKENS))
        return bytes(self.bytes_of[character] for character in characters).decode(errors='replace')

    def to_json(self):
        """The contents of tokenizer.json."""
        level = {
            'type': 'ByteLevel',
            'add_prefix_space': False,
            'trim_offsets': True,
            'use_regex': True,
        }
        return {
            'version': '1.0',
            'truncation': None,
            'padding': None,
            'added_tokens': [
                {
                    'id': self.ids[token],
                    'content': token,
                    'single_word': False,
                    'lstrip': False,
                    'rstrip': False,
                    'normalized': False,
                    'special': True,
                }
                for token in SPECIAL_TOKENS
            ],
            'normalizer': None,
            'pre_tokenizer': level,
            'post_processor': None,
            'decoder': level,
            'model': {
                'type': 'BPE',
                'dropout': None,
                'unk_token': None,
                'continuing_subword_prefix': None,
                'end_of_word_suffix': None,
                'fuse_unk': False,
                'byte_fallback': False,
                'vocab': self.ids,
                # As strings, which every reader takes; lists of two came later.
                'merges': [' '.join(pair) for pair in self.merges],
            },
        }
