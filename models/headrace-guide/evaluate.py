"""Asks the bundled model everything: python3 models/headrace-guide/evaluate.py

Prints how many of the trained questions, and of the held-out phrasings, get their answer word for
word under greedy decoding, then the failures with what was said instead. `--round int8` or `int4`
rounds the weights first, as quantised versions do.

An answer is greedy's exactly where, with the answer itself as input, each next token is the most
likely one. So one forward pass judges a whole answer, and only failures are decoded step by step.
"""

import argparse
from pathlib import Path

import torch
from torch.utils.mkldnn import to_mkldnn

from byte_pairs import TURN_END, TURN_START
from checkpoint_files import end_ids, load_checkpoint
from questions import HERE, read_entries, read_heldout

BATCH = 128


def prompt_ids(tokenizer, question):
    turn = tokenizer.id_of(TURN_START)
    return [
        turn,
        *tokenizer.encode(f'user\n{question}'),
        tokenizer.id_of(TURN_END),
        *tokenizer.encode('\n'),
        turn,
        *tokenizer.encode('assistant\n'),
    ]


def is_answered(model, tokenizer, pairs):
    """For each (question, answer): whether greedy decoding gives that answer and ends there."""
    verdicts = []
    for at in range(0, len(pairs), BATCH):
        batch = []
        for question, answer in pairs[at : at + BATCH]:
            ended = [*tokenizer.encode(answer), tokenizer.id_of(TURN_END)]
            batch.append((prompt_ids(tokenizer, question), ended))
        length = max(len(prompt) + len(answer) for prompt, answer in batch)
        ids = torch.zeros(len(batch), length, dtype=torch.long)
        for row, (prompt, answer) in enumerate(batch):
            ids[row, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        rows = [
            row * length + len(prompt) - 1 + at
            for row, (prompt, answer) in enumerate(batch)
            for at in range(len(answer))
        ]
        chosen = iter(model(ids, torch.tensor(rows)).argmax(-1).tolist())
        for _, answer in batch:
            verdicts.append([next(chosen) for _ in answer] == answer)
    return verdicts


def answer_to(model, tokenizer, question, most=120):
    ids = prompt_ids(tokenizer, question)
    answer = []
    while len(answer) < most:
        chosen = int(
            model(torch.tensor([ids + answer]), torch.tensor([len(ids) + len(answer) - 1])).argmax()
        )
        if chosen in end_ids(tokenizer):
            break
        answer.append(chosen)
    return tokenizer.decode(answer)


def round_weights(model, precision):
    """int8: one scale for each output row. int4: one for each 32 inputs of a row."""
    for name, weight in model.named_parameters():
        if weight.dim() != 2 or 'embed_tokens' in name and precision == 'int8':
            continue
        blocks = weight.view(weight.shape[0], -1, 32) if precision == 'int4' else weight[:, None]
        top = 7 if precision == 'int4' else 127
        scale = blocks.abs().amax(-1, keepdim=True) / top
        weight.copy_(((blocks / scale).round().clamp(-top - 1, top) * scale).view(weight.shape))


@torch.no_grad()
def evaluate(folder, rounding, most_failures):
    torch.set_num_threads(1)
    model, tokenizer = load_checkpoint(folder)
    if rounding:
        round_weights(model, rounding)
    # Float32 through oneDNN: Debian's PyTorch would use the reference BLAS, many times slower.
    model = to_mkldnn(model)
    entries = read_entries()
    trained = [
        (question, entry.answer) for entry in entries.values() for question in entry.questions
    ]
    heldout = [(question, entries[id].answer) for id, question in read_heldout()]
    for title, pairs in (('trained questions', trained), ('held-out phrasings', heldout)):
        verdicts = is_answered(model, tokenizer, pairs)
        right = sum(verdicts)
        print(f'{title}: {right} of {len(pairs)} answered exactly ({right / len(pairs):.2%})')
        failures = [pair for pair, verdict in zip(pairs, verdicts) if not verdict]
        for question, answer in failures[:most_failures]:
            print(
                f'  {question}\n    want {answer}\n    said {answer_to(model, tokenizer, question)}'
            )


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='Asks the bundled model everything.')
    parser.add_argument(
        '--checkpoint', type=Path, default=HERE / 'checkpoint', help='folder of the checkpoint'
    )
    parser.add_argument('--round', choices=['int8', 'int4'], help='round the weights first')
    parser.add_argument(
        '--failures', type=int, default=1000, help='most failures to print of each kind'
    )
    arguments = parser.parse_args()
    evaluate(arguments.checkpoint, arguments.round, arguments.failures)
