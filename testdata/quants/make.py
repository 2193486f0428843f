"""Random blocks of every GGUF format that the loader accepts, and their values.

usage: make.py OUTDIR   (needs PyPI numpy and gguf)
FORMAT.blocks: raw bytes of 8 blocks; FORMAT.f32: the values as little-endian float32.
Scales are drawn as halves of ordinary size, codes as any bytes.
"""
import sys
import numpy as np
from gguf import GGMLQuantizationType as T, GGML_QUANT_SIZES, quants

OUT, BLOCKS = sys.argv[1], 8
rng = np.random.default_rng(20)
# Offsets of the half-precision fields of each block.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
          "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "MXFP4": []}
for name, offsets in HALVES.items():
    kind = T[name]
    elements, size = GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (BLOCKS, size), dtype=np.uint8)
    for at in offsets:
        half = rng.normal(0, 0.02, (BLOCKS, 1)).astype("<f2")
        blocks[:, at:at + 2] = half.view(np.uint8)
    if name == "MXFP4":
        blocks[:, 0] = rng.integers(0, 250, BLOCKS)  # exponents; 0 and 1 are subnormal
        blocks[0, 0], blocks[1, 0] = 0, 1
    values = quants.dequantize(blocks, kind).astype("<f4")
    assert values.size == BLOCKS * elements
    open(f"{OUT}/{name}.blocks", "wb").write(blocks.tobytes())
    open(f"{OUT}/{name}.f32", "wb").write(values.tobytes())
