"""The questions and answers as they lie on disk.

`questions/<topic>.jsonl` has one answer a line: its id, its text and the phrasings of its question
that are trained. `questions-heldout.jsonl` has phrasings that training never sees: the answer's id
and the question.

Knows: the files. Does not know: tokens.
"""

import json
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Entry:
    id: str
    answer: str
    questions: tuple


def read_entries():
    entries = {}
    for path in sorted((HERE / 'questions').glob('*.jsonl')):
        for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1):
            value = json.loads(line)
            if value['id'] in entries:
                raise ValueError(f'{path.name}:{number}: the id {value["id"]} is used twice')
            entries[value['id']] = Entry(value['id'], value['answer'], tuple(value['questions']))
    return entries


def read_heldout():
    """(answer's id, question) of every held-out phrasing."""
    lines = (HERE / 'questions-heldout.jsonl').read_text(encoding='utf-8').splitlines()
    return [(value['id'], value['question']) for value in map(json.loads, lines)]
