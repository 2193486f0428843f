"""Writes ranks.bin from o200k_base.tiktoken: python3 make_ranks.py o200k_base.tiktoken ranks.bin

Input: one line per token, the token in base64, a space, its rank; the ranks count up from 0.
Output: for each rank in order one byte with the token's length and then the token itself.
"""

import base64
import hashlib
import sys

SOURCE_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"

source = open(sys.argv[1], "rb").read()
found = hashlib.sha256(source).hexdigest()
if found != SOURCE_SHA256:
    sys.exit(f"{sys.argv[1]}: expected sha256 {SOURCE_SHA256}, found {found}")
out = bytearray()
for expected_rank, line in enumerate(source.splitlines()):
    token, rank = line.split()
    token = base64.b64decode(token)
    if int(rank) != expected_rank or not 1 <= len(token) <= 255:
        sys.exit(f"{sys.argv[1]}: line {expected_rank + 1} is out of order or too long")
    out.append(len(token))
    out += token
open(sys.argv[2], "wb").write(out)
print(len(out), "bytes, sha256", hashlib.sha256(out).hexdigest())
