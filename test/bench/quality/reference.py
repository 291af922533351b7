"""An independent forward pass: PyTorch's LlamaForCausalLM of transformers over the same weights.

Reads a task from a JSON file, whose prompts are texts or chats, and writes what came out into another: of each prompt
the token ids, of the model behind it the logits (float32, in a file beside) and the ids that a greedy choice gives, and
their text up to the first token that ends an answer.
"""

import json
import sys

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast


def encode(tokenizer, prompt):
    if "text" in prompt:
        return tokenizer(prompt["text"])["input_ids"]
    return tokenizer.apply_chat_template(prompt["messages"], add_generation_prompt=True)


@torch.no_grad()
def answer(model, ids, count):
    out = model(torch.tensor([ids]), use_cache=True)
    logits = out.logits[0, -1]
    first = logits.numpy()
    chosen = []
    while True:
        chosen.append(int(logits.argmax()))
        if len(chosen) == count:
            return first, chosen
        out = model(torch.tensor([chosen[-1:]]), past_key_values=out.past_key_values, use_cache=True)
        logits = out.logits[0, -1]


def text_of(tokenizer, ids, end_ids):
    end = next((at for at, token in enumerate(ids) if token in end_ids), len(ids))
    return tokenizer.decode(ids[:end], skip_special_tokens=True, clean_up_tokenization_spaces=False)


def main(task_file, answer_file, logits_file):
    with open(task_file, encoding="utf-8") as file:
        task = json.load(file)
    torch.set_num_threads(task["threads"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=f"{task['folder']}/tokenizer.json")
    tokenizer.chat_template = task["chatTemplate"]
    model = LlamaForCausalLM.from_pretrained(task["folder"], torch_dtype=torch.float32).eval()
    answers = []
    with open(logits_file, "wb") as file:
        for prompt in task["prompts"]:
            ids = encode(tokenizer, prompt)
            logits, chosen = answer(model, ids, task["tokens"])
            file.write(logits.astype("<f4").tobytes())
            text = text_of(tokenizer, chosen, task["endTokenIds"])
            answers.append({"promptIds": ids, "ids": chosen, "text": text})
    with open(answer_file, "w", encoding="utf-8") as file:
        json.dump(answers, file)


main(*sys.argv[1:])
