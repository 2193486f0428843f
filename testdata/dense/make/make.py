"""Makes the tiny dense models and their golden values.
usage: make.py OUTDIR
"""
import json, os, sys
import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize, quantize
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging

logging.set_verbosity_error()
torch.set_num_threads(1)
GREEDY = 24

# As the published files say it: head_dim absent, rope types in old and new spelling, GQA.
COMMON = {"hidden_act": "silu", "torch_dtype": "bfloat16", "attention_dropout": 0.0}
LLAMA = {**COMMON, "architectures": ["LlamaForCausalLM"], "model_type": "llama"}
MODELS = {
    # Heads wider than D / H, a window in every layer, as Mistral-7B-v0.1.
    "mistral": {**COMMON, "architectures": ["MistralForCausalLM"], "model_type": "mistral",
                "vocab_size": 320, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
                "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "sliding_window": 16,
                "max_position_embeddings": 1024, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
                "tie_word_embeddings": False},
    # Three query heads to a key head, frequencies in all three parts of Llama 3.1's rule.
    "llama3": {**LLAMA, "vocab_size": 384, "hidden_size": 96, "intermediate_size": 160, "num_hidden_layers": 2,
               "num_attention_heads": 6, "num_key_value_heads": 2, "max_position_embeddings": 1024,
               "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "tie_word_embeddings": False,
               "attention_bias": False, "mlp_bias": False,
               "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                                "high_freq_factor": 4.0, "original_max_position_embeddings": 64}},
    # No grouping, linear scaling in the old spelling, rows that end in part of a tile.
    "deepseek": {**LLAMA, "vocab_size": 251, "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 2,
                 "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 1024,
                 "rms_norm_eps": 1e-6, "rope_theta": 100000.0, "tie_word_embeddings": False,
                 "rope_scaling": {"type": "linear", "factor": 4.0}},
    # One matrix for both embeddings, an odd number of heads, as SmolLM2-135M.
    "smollm": {**LLAMA, "vocab_size": 256, "hidden_size": 96, "intermediate_size": 128, "num_hidden_layers": 3,
               "num_attention_heads": 3, "num_key_value_heads": 1, "max_position_embeddings": 1024,
               "rms_norm_eps": 1e-5, "rope_theta": 100000.0, "tie_word_embeddings": True,
               "rope_scaling": None},
}


def head_dim(c):
    return c.get("head_dim", c["hidden_size"] // c["num_attention_heads"])


def weights(c, seed):
    rng = np.random.default_rng(seed)
    v, d, f, k = c["vocab_size"], c["hidden_size"], c["intermediate_size"], head_dim(c)
    h, g = c["num_attention_heads"], c["num_key_value_heads"]
    matrix = lambda rows, cols, size=1.0: rng.normal(0, size / cols**0.5, (rows, cols))
    norm = lambda: rng.normal(1, 0.2, d)
    w = {"model.embed_tokens.weight": rng.normal(0, 0.4, (v, d)), "model.norm.weight": norm()}
    for l in range(c["num_hidden_layers"]):
        p = f"model.layers.{l}."
        w[p + "input_layernorm.weight"] = norm()
        # Large queries and keys, so that rotation and window decide what is attended to.
        w[p + "self_attn.q_proj.weight"] = matrix(h * k, d, 1.5)
        w[p + "self_attn.k_proj.weight"] = matrix(g * k, d, 1.5)
        w[p + "self_attn.v_proj.weight"] = matrix(g * k, d)
        w[p + "self_attn.o_proj.weight"] = matrix(d, h * k, 0.7)
        w[p + "post_attention_layernorm.weight"] = norm()
        w[p + "mlp.gate_proj.weight"] = matrix(f, d)
        w[p + "mlp.up_proj.weight"] = matrix(f, d)
        w[p + "mlp.down_proj.weight"] = matrix(d, f)
    if not c["tie_word_embeddings"]:
        w["lm_head.weight"] = matrix(v, d, 1.5)
    return {name: torch.tensor(x, dtype=torch.bfloat16) for name, x in w.items()}


def permute(w, heads):
    """LlamaModel.permute of llama.cpp's convert_hf_to_gguf.py."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, w.shape[1]).swapaxes(1, 2).reshape(w.shape)


def rope_freqs(c):
    """What llama.cpp's converter writes for Llama 3.1 (generate_extra_tensors of LlamaModel)."""
    s, k = c["rope_scaling"], head_dim(c)
    freqs = 1.0 / (c["rope_theta"] ** (torch.arange(0, k, 2, dtype=torch.float32) / k))
    context = s["original_max_position_embeddings"]
    low, high = context / s["low_freq_factor"], context / s["high_freq_factor"]
    out = []
    for freq in freqs:
        length = 2 * np.pi / float(freq)
        if length < high:
            out.append(1.0)
        elif length > low:
            out.append(s["factor"])
        else:
            smooth = (context / length - s["low_freq_factor"]) / (s["high_freq_factor"] - s["low_freq_factor"])
            out.append(1 / ((1 - smooth) / s["factor"] + smooth))
    assert len(set(out)) > 2 and 1.0 in out and s["factor"] in out
    return np.array(out, dtype=np.float32)


def bf16(name):
    return Kind.BF16


def mixed(name):
    """Every format of GGUF that the eight-bit kernels know, but MXFP4."""
    if "embed_tokens" in name:
        return Kind.Q8_0
    return Kind.Q4_1 if "self_attn" in name else Kind.Q4_0


def rounded(w, kind):
    """The weights after they were stored in these formats."""
    matrix = lambda name, x: dequantize(quantize(x, kind(name)), kind(name))
    plain = {name: x.float().numpy() for name, x in w.items()}
    return {name: torch.tensor(x if x.ndim == 1 else matrix(name, x)) for name, x in plain.items()}


def write_gguf(c, w, path, kind):
    g = gguf.GGUFWriter(path, "llama")
    g.add_name("tiny")
    g.add_vocab_size(c["vocab_size"])
    g.add_context_length(c["max_position_embeddings"])
    g.add_embedding_length(c["hidden_size"])
    g.add_block_count(c["num_hidden_layers"])
    g.add_feed_forward_length(c["intermediate_size"])
    g.add_head_count(c["num_attention_heads"])
    g.add_head_count_kv(c["num_key_value_heads"])
    g.add_layer_norm_rms_eps(c["rms_norm_eps"])
    g.add_rope_freq_base(c["rope_theta"])
    g.add_rope_dimension_count(head_dim(c))
    if "head_dim" in c:
        g.add_key_length(c["head_dim"])
        g.add_value_length(c["head_dim"])
    if "sliding_window" in c:
        g.add_sliding_window(c["sliding_window"])
    scaling = c.get("rope_scaling") or {}
    if scaling.get("type") == "linear":
        g.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        g.add_rope_scaling_factor(scaling["factor"])
    if scaling.get("rope_type") == "llama3":
        g.add_tensor("rope_freqs.weight", rope_freqs(c))
    g.add_tokenizer_model("no_vocab")
    whole = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
             "lm_head.weight": "output.weight"}
    parts = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
             "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
             "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
             "mlp.down_proj": "ffn_down"}
    for name, x in w.items():
        x = x.float().numpy()
        if name in whole:
            out = whole[name]
        else:
            _, _, layer, part = name.removesuffix(".weight").split(".", 3)
            out = f"blk.{layer}.{parts[part]}.weight"
            if part == "self_attn.q_proj":
                x = permute(x, c["num_attention_heads"])
            if part == "self_attn.k_proj":
                x = permute(x, c["num_key_value_heads"])
        if x.ndim == 1:
            g.add_tensor(out, x)
        else:
            data = quantize(np.ascontiguousarray(x), kind(name))
            g.add_tensor(out, data, raw_dtype=kind(name))
    g.write_header_to_file()
    g.write_kv_data_to_file()
    g.write_tensors_to_file()
    g.close()


def golden(c, w, path):
    """Logits in float64; transformers itself keeps norms, softmax and rotary angles in float32."""
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float64, attn_implementation="eager").eval()
    missing = model.load_state_dict({name: x.double() for name, x in w.items()}, strict=False).missing_keys
    assert missing == (["lm_head.weight"] if c["tie_word_embeddings"] else []), missing
    model.tie_weights()
    rng = np.random.default_rng(7)
    out = {}
    for name, length in [("one", 1), ("short", 12), ("window", 45), ("long", 300)]:
        ids = rng.integers(0, c["vocab_size"], length).tolist()
        with torch.no_grad():
            r = model(torch.tensor([ids]), output_hidden_states=True, use_cache=False)
        positions = list(range(length)) if length < 50 else [0, 15, 16, 63, 64, 65, 150, 298, 299]
        out[f"{name}.ids"] = torch.tensor(ids, dtype=torch.int32)
        out[f"{name}.positions"] = torch.tensor(positions, dtype=torch.int32)
        out[f"{name}.logits"] = r.logits[0, positions].float().contiguous()
        # transformers gives the state after the last layer only after the final norm.
        hidden = torch.stack([h[0, positions] for h in r.hidden_states])
        out[f"{name}.hidden"] = hidden.float().contiguous()
        if name in ("short", "window"):
            text = list(ids)
            for _ in range(GREEDY):
                with torch.no_grad():
                    logits = model(torch.tensor([text]), use_cache=False).logits[0, -1]
                text.append(int(logits.argmax()))
            out[f"{name}.greedy"] = torch.tensor(text[length:], dtype=torch.int32)
    return out


if __name__ == "__main__":
    for seed, (name, c) in enumerate(MODELS.items()):
        d = os.path.join(sys.argv[1], name)
        os.makedirs(f"{d}/hf", exist_ok=True)
        w = weights(c, seed)
        save_file(w, f"{d}/hf/model.safetensors", metadata={"format": "pt"})
        with open(f"{d}/hf/config.json", "w") as f:
            f.write(json.dumps(c, indent=2) + "\n")
        write_gguf(c, w, f"{d}/model.gguf", bf16)
        save_file(golden(c, w, f"{d}/hf"), f"{d}/golden.safetensors")
        if name == "smollm":
            write_gguf(c, w, f"{d}/mixed.gguf", mixed)
            save_file(golden(c, rounded(w, mixed), f"{d}/hf"), f"{d}/mixed.safetensors")
        print(name, sum(x.numel() for x in w.values()), "parameters")
