"""Writes the first inputs of the fuzz targets: a one-layer model with zero weights in each layout.

usage: make_corpus.py            (from any folder; writes corpus/ beside this file)
"""
import json
import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
V, D, F, H, G, K, E = 4, 32, 32, 2, 1, 2, 2  # As `tiny` in crates/checkpoint/src/fuzz.rs.
BYTES = {"BF16": 2, "U8": 1}


def write(target, name, data):
    folder = os.path.join(HERE, "corpus", target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as out:
        out.write(data)


def product(shape):
    n = 1
    for size in shape:
        n *= size
    return n


def safetensors(tensors):
    header, offset = {}, 0
    for name, (dtype, shape) in tensors.items():
        end = offset + product(shape) * BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + bytes(offset)


def experts(prefix, join, rows, cols):
    return {
        f"{prefix}{join}blocks": ("U8", [E, rows, cols // 32, 16]),
        f"{prefix}{join}scales": ("U8", [E, rows, cols // 32]),
        f"{prefix.removesuffix('_weight')}_bias": ("BF16", [E, rows]),
    }


def hugging_face():
    p = "model.layers.0."
    t = {"model.embed_tokens.weight": [V, D], "model.norm.weight": [D], "lm_head.weight": [V, D],
         p + "input_layernorm.weight": [D], p + "post_attention_layernorm.weight": [D],
         p + "self_attn.sinks": [H], p + "mlp.router.weight": [E, D], p + "mlp.router.bias": [E],
         p + "self_attn.o_proj.weight": [D, H * K], p + "self_attn.o_proj.bias": [D]}
    for name, rows in ("q", H * K), ("k", G * K), ("v", G * K):
        t[p + f"self_attn.{name}_proj.weight"] = [rows, D]
        t[p + f"self_attn.{name}_proj.bias"] = [rows]
    out = {name: ("BF16", shape) for name, shape in t.items()}
    out.update(experts(p + "mlp.experts.gate_up_proj", "_", 2 * F, D))
    out.update(experts(p + "mlp.experts.down_proj", "_", D, F))
    return out


def original():
    p, rows = "block.0.", (H + 2 * G) * K
    t = {"embedding.weight": [V, D], "norm.scale": [D], "unembedding.weight": [V, D],
         p + "attn.norm.scale": [D], p + "attn.qkv.weight": [rows, D], p + "attn.qkv.bias": [rows],
         p + "attn.sinks": [H], p + "attn.out.weight": [D, H * K], p + "attn.out.bias": [D],
         p + "mlp.norm.scale": [D], p + "mlp.gate.weight": [E, D], p + "mlp.gate.bias": [E]}
    out = {name: ("BF16", shape) for name, shape in t.items()}
    out.update(experts(p + "mlp.mlp1_weight", ".", 2 * F, D))
    out.update(experts(p + "mlp.mlp2_weight", ".", D, F))
    return out


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def value(v):
    if isinstance(v, list):
        kind, pack = (8, text) if isinstance(v[0], str) else (5, lambda n: struct.pack("<i", n))
        return struct.pack("<IIQ", 9, kind, len(v)) + b"".join(map(pack, v))
    if isinstance(v, str):
        return struct.pack("<I", 8) + text(v)
    if isinstance(v, float):
        return struct.pack("<If", 6, v)
    return struct.pack("<II", 4, v)


def gguf(arch):
    meta = {"general.architecture": arch, "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.tokens": ["a", "b", "ab", "<|end|>"],
            "tokenizer.ggml.token_type": [1, 1, 1, 3], "tokenizer.ggml.merges": ["a b"],
            "tokenizer.ggml.eos_token_ids": [3, 2]}
    keys = {"block_count": 1, "context_length": 16, "embedding_length": D,
            "expert_feed_forward_length": F, "attention.head_count": H,
            "attention.head_count_kv": [G], "attention.key_length": K,
            "attention.layer_norm_rms_epsilon": 1e-5, "attention.sliding_window": 4,
            "expert_count": E, "expert_used_count": 1, "rope.freq_base": 150000.0,
            "rope.scaling.type": "yarn", "rope.scaling.factor": 4.0,
            "rope.scaling.original_context_length": 4}
    meta.update({f"{arch}.{key}": v for key, v in keys.items()})
    p = "blk.0."
    t = {"token_embd.weight": [D, V], "output_norm.weight": [D], "output.weight": [D, V],
         p + "attn_norm.weight": [D], p + "post_attention_norm.weight": [D],
         p + "attn_sinks.weight": [H], p + "ffn_gate_inp.weight": [D, E],
         p + "ffn_gate_inp.bias": [E], p + "attn_output.weight": [H * K, D],
         p + "attn_output.bias": [D]}
    for name, rows in ("q", H * K), ("k", G * K), ("v", G * K):
        t[p + f"attn_{name}.weight"], t[p + f"attn_{name}.bias"] = [D, rows], [rows]
    tensors = {name: (1, sizes, 2 * product(sizes)) for name, sizes in t.items()}
    for name, cols, rows in ("gate", D, F), ("up", D, F), ("down", F, D):
        size = cols * rows * E // 32 * 17
        tensors[p + f"ffn_{name}_exps.weight"] = (39, [cols, rows, E], size)
        tensors[p + f"ffn_{name}_exps.bias"] = (0, [rows, E], 4 * rows * E)
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(meta))
    out += b"".join(text(key) + value(v) for key, v in meta.items())
    offset = 0
    for name, (kind, sizes, size) in tensors.items():
        out += text(name) + struct.pack("<I", len(sizes))
        out += b"".join(struct.pack("<Q", n) for n in sizes) + struct.pack("<IQ", kind, offset)
        offset = (offset + size + 31) // 32 * 32
    return out + bytes(-len(out) % 32) + bytes(offset)


def configs():
    yarn = {"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0,
            "original_max_position_embeddings": 4096, "truncate": False}
    hf = {"model_type": "gpt_oss", "architectures": ["GptOssForCausalLM"], "vocab_size": 201088,
          "hidden_size": 2880, "intermediate_size": 2880, "num_hidden_layers": 2,
          "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64,
          "num_local_experts": 32, "num_experts_per_tok": 4, "experts_per_token": 4,
          "sliding_window": 128, "layer_types": ["sliding_attention", "full_attention"],
          "rms_norm_eps": 1e-05, "rope_theta": 150000, "rope_scaling": yarn, "swiglu_limit": 7.0,
          "initial_context_length": 4096, "max_position_embeddings": 131072,
          "tie_word_embeddings": False, "attention_bias": True, "hidden_act": "silu",
          "quantization_config": {"quant_method": "mxfp4"}}
    newer = dict(hf, rope_parameters=dict(yarn, rope_theta=150000.0, attention_factor=None))
    del newer["rope_scaling"], newer["rope_theta"], newer["layer_types"]
    plain = dict(newer, rope_parameters={"rope_type": "default"})
    ours = {"num_hidden_layers": 24, "num_experts": 32, "experts_per_token": 4,
            "vocab_size": 201088, "hidden_size": 2880, "intermediate_size": 2880,
            "swiglu_limit": 7.0, "head_dim": 64, "num_attention_heads": 64,
            "num_key_value_heads": 8, "sliding_window": 128, "initial_context_length": 4096,
            "rope_theta": 150000, "rope_scaling_factor": 32.0, "rope_ntk_alpha": 1,
            "rope_ntk_beta": 32}
    return {"transformers4": hf, "transformers5": newer, "plain_rope": plain, "original": ours}


write("safetensors_header", "hugging_face", safetensors(hugging_face()))
write("safetensors_header", "original", safetensors(original()))
write("gguf", "llama_cpp", gguf("gpt-oss"))
write("gguf", "ollama", gguf("gptoss"))
for name, config in configs().items():
    write("config", name, json.dumps(config).encode())
