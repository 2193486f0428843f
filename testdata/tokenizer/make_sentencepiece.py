"""Writes sentencepiece.jsonl: python3 make_sentencepiece.py o200k_harmony.jsonl sentencepiece.jsonl

Trains a byte-pair model with the settings of Llama 2 (byte fallback, identity normalisation, a
space before the text, no blanks removed) on the texts of the first file and writes its pieces with
scores and types (in the numbers of GGUF), then the ids of each text. Needs sentencepiece.
"""

import io
import json
import sys

import sentencepiece as spm

texts = [row["text"] for row in map(json.loads, open(sys.argv[1], encoding="utf-8")) if "text" in row]
# SentencePiece takes U+0000 for the end of a string, and U+2581 for a space.
texts = [text for text in texts if "\0" not in text and "\u2581" not in text]
model = io.BytesIO()
spm.SentencePieceTrainer.train(
    sentence_iterator=iter(text for text in texts if text and len(text.encode()) < 4000),
    model_writer=model, model_type="bpe", vocab_size=2000, character_coverage=0.98,
    byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
    add_dummy_prefix=True, allow_whitespace_only_pieces=True, split_digits=True, num_threads=1,
    minloglevel=2,
)
processor = spm.SentencePieceProcessor(model_proto=model.getvalue())


def kind(piece):
    """The type in the numbers of GGUF."""
    if processor.is_unknown(piece):
        return 2
    if processor.is_control(piece):
        return 3
    if processor.is_byte(piece):
        return 6
    return 5 if processor.is_unused(piece) else 1


pieces = [
    [processor.id_to_piece(i), processor.get_score(i), kind(i)] for i in range(processor.get_piece_size())
]
with open(sys.argv[2], "w", encoding="utf-8") as out:
    out.write(json.dumps({"pieces": pieces}, ensure_ascii=False) + "\n")
    for text in texts:
        row = {"text": text, "ids": processor.encode(text)}
        out.write(json.dumps(row, ensure_ascii=False) + "\n")
print(len(pieces), "pieces,", len(texts), "texts, sentencepiece", spm.__version__)
