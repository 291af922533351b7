"""Vectors of sentence-transformers: a folder and a JSON file of texts in, float32 to stdout."""

import json
import sys

from sentence_transformers import SentenceTransformer

folder, texts = sys.argv[1:]
model = SentenceTransformer(folder, device="cpu")
with open(texts, encoding="utf-8") as file:
    vectors = model.encode(json.load(file), show_progress_bar=False)
sys.stdout.buffer.write(vectors.astype("<f4").tobytes())
