"""Trains the bundled model from nothing: python3 models/headrace-guide/train.py

In: questions/*.jsonl. Out: the checkpoint folder. The seed is fixed and the work is done on one
thread, so that the same PyTorch on the same kind of processor gives the same bytes. Needs PyTorch
(1.13 or newer) and nothing else.

Each sample is a chat: perhaps a system prompt, perhaps earlier turns, then one question in a fresh
phrasing and its answer. Only answers are learnt. Batches are cut by length, so that little is
padded.

Knows: the samples and the schedule. Does not know: the network's inside, file formats.
"""

import argparse
import math
import time
from collections import Counter
from pathlib import Path
from random import Random

import torch
from torch.nn import functional

from byte_pairs import (
    END_OF_TEXT,
    SPECIAL_TOKENS,
    TURN_END,
    TURN_START,
    Tokenizer,
    split_pieces,
    train_merges,
)
from checkpoint_files import save_checkpoint
from llama import Llama, Shape
from phrasing import vary
from questions import HERE, read_entries

SEED = 20
STEPS = 1700
BATCH = 64
# Peak of the learning rate, reached after the warm-up and let down to a hundredth along a cosine.
LEARNING_RATE = 2.5e-3
WARMUP_STEPS = 100
# Pulls the weights together, so that no single one stretches the scale of a quantised block.
WEIGHT_DECAY = 0.1
DROPOUT = 0.1

SYSTEM_PROMPTS = [
    'You are a helpful assistant.',
    'You are a helpful AI assistant.',
    'You answer questions about Headrace.',
    'You are the guide of Headrace. Answer briefly.',
    'Be brief.',
    'Answer in one sentence.',
    'You are a friendly support assistant for developers.',
    'You are a concise technical assistant.',
]


def train_tokenizer(entries, random, vocab_size):
    pieces = Counter()
    for entry in entries:
        pieces.update(split_pieces(entry.answer) * 4)
        for question in entry.questions:
            pieces.update(
                split_pieces(question)
                + split_pieces(question.lower())
                + split_pieces(vary(question, random))
            )
    for prompt in SYSTEM_PROMPTS:
        pieces.update(split_pieces(prompt))
    pieces.update({'system': 40, 'user': 40, 'assistant': 40})
    return Tokenizer(train_merges(pieces, vocab_size - 256 - len(SPECIAL_TOKENS)))


class Samples:
    """Endless training samples, each (ids, is learnt, positions)."""

    def __init__(self, entries, tokenizer, random):
        self.entries = entries
        self.tokenizer = tokenizer
        self.random = random
        self.deck = []

    def turn(self, role, content):
        encode, id_of = self.tokenizer.encode, self.tokenizer.id_of
        head = [id_of(TURN_START)] + encode(f'{role}\n')
        return head, encode(content) + [id_of(TURN_END)], encode('\n')

    def deal(self):
        """An entry and one of its questions. Every pair comes once before any comes again."""
        if not self.deck:
            self.deck = [
                (entry, question) for entry in self.entries for question in entry.questions
            ]
            self.random.shuffle(self.deck)
        return self.deck.pop()

    def phrase(self, question):
        return question if self.random.random() < 0.2 else vary(question, self.random)

    def next(self):
        entry, question = self.deal()
        # Plain text, as completions send it, without the chat's marks.
        if self.random.random() < 0.03:
            ids = self.tokenizer.encode(entry.answer) + [self.tokenizer.id_of(END_OF_TEXT)]
            return ids, [True] * len(ids), list(range(len(ids)))
        turns = []
        if self.random.random() < 0.2:
            turns.append(('system', self.random.choice(SYSTEM_PROMPTS)))
        if self.random.random() < 0.1:
            for _ in range(self.random.choice([1, 1, 1, 2, 2, 3, 4])):
                earlier = self.random.choice(self.entries)
                turns.append(('user', self.phrase(self.random.choice(earlier.questions))))
                turns.append(('assistant', earlier.answer))
        asked_at = len(turns)
        turns += [('user', self.phrase(question)), ('assistant', entry.answer)]

        ids, learnt, positions, position = [], [], [], 0
        for at, (role, content) in enumerate(turns):
            # What was said before may be far away: a gap in the positions stands for turns between.
            if at == asked_at and asked_at > 0 and self.random.random() < 0.5:
                position += self.random.randrange(1500)
            head, body, tail = self.turn(role, content)
            ids += head + body + tail
            learnt += [False] * len(head) + [role == 'assistant'] * len(body) + [False] * len(tail)
            positions += range(position, position + len(head) + len(body) + len(tail))
            position += len(head) + len(body) + len(tail)
        return ids, learnt, positions

    def batches(self):
        """Lists of samples of similar length, in random order."""
        while True:
            pool = sorted(
                (self.next() for _ in range(BATCH * 16)), key=lambda sample: len(sample[0])
            )
            batches = [pool[at : at + BATCH] for at in range(0, len(pool), BATCH)]
            self.random.shuffle(batches)
            yield from batches


def tensors_of(batch, pad):
    length = max(len(ids) for ids, _, _ in batch) - 1
    inputs = torch.full((len(batch), length), pad)
    targets = torch.full((len(batch), length), -1)
    places = torch.zeros(len(batch), length, dtype=torch.long)
    for row, (ids, learnt, positions) in enumerate(batch):
        count = len(ids) - 1
        inputs[row, :count] = torch.tensor(ids[:-1])
        places[row, :count] = torch.tensor(positions[:-1])
        targets[row, :count] = torch.tensor(
            [id if wanted else -1 for id, wanted in zip(ids, learnt)][1:]
        )
    rows = (targets.view(-1) >= 0).nonzero().view(-1)
    return inputs, places, rows, targets.view(-1)[rows]


def learning_rate_at(step, steps):
    if step < WARMUP_STEPS:
        return LEARNING_RATE * (step + 1) / WARMUP_STEPS
    done = (step - WARMUP_STEPS) / max(1, steps - WARMUP_STEPS)
    return LEARNING_RATE * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)


def train(steps, folder, bf16):
    random = Random(SEED)
    torch.manual_seed(SEED)
    # On a busy machine two threads spend most of their time waiting for each other: a step took
    # 0.7 s with one and 2 to 8 s with two. Alone on the machine it was 0.43 s and 0.3 s.
    torch.set_num_threads(1)
    shape = Shape()
    entries = list(read_entries().values())
    tokenizer = train_tokenizer(entries, random, shape.vocab_size)
    samples = Samples(entries, tokenizer, random).batches()
    model = Llama(shape, DROPOUT)
    decayed = [parameter for parameter in model.parameters() if parameter.dim() == 2]
    others = [parameter for parameter in model.parameters() if parameter.dim() != 2]
    optimizer = torch.optim.AdamW(
        [
            {'params': decayed, 'weight_decay': WEIGHT_DECAY},
            {'params': others, 'weight_decay': 0.0},
        ],
        betas=(0.9, 0.98),
    )
    print(
        f'{len(entries)} answers, {sum(len(entry.questions) for entry in entries)} questions,',
        end=' ',
    )
    print(f'{sum(p.numel() for p in model.parameters())} parameters', flush=True)

    started, average = time.monotonic(), None
    for step in range(steps):
        inputs, positions, rows, targets = tensors_of(next(samples), tokenizer.id_of(END_OF_TEXT))
        for group in optimizer.param_groups:
            group['lr'] = learning_rate_at(step, steps)
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=bf16):
            logits = model(inputs, rows, positions)
        loss = functional.cross_entropy(logits.float(), targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average = loss.item() if average is None else 0.98 * average + 0.02 * loss.item()
        if (step + 1) % 50 == 0:
            seconds = time.monotonic() - started
            print(f'step {step + 1}/{steps}  loss {average:.4f}  {seconds:.0f} s', flush=True)
    save_checkpoint(folder, model, tokenizer)
    print(f'wrote {folder}')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='Trains the bundled model from nothing.')
    parser.add_argument(
        '--steps', type=int, default=STEPS, help=f'batches of {BATCH} chats (default: {STEPS})'
    )
    parser.add_argument(
        '--out', type=Path, default=HERE / 'checkpoint', help='folder of the checkpoint'
    )
    # Debian's PyTorch has the reference BLAS for float32: a step took 11 s instead of 0.3 s.
    parser.add_argument(
        '--float32', action='store_true', help='for processors without bfloat16 instructions'
    )
    arguments = parser.parse_args()
    train(arguments.steps, arguments.out, not arguments.float32)
