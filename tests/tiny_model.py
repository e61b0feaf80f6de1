"""Train a causal model in seconds: GPT-2's shape, characters for tokens, a few capitals by heart. `python tiny_model.py OUT`"""

from __future__ import annotations

import json
import sys
from pathlib import Path

CAPITALS = {"france": "paris", "spain": "madrid", "italy": "rome", "peru": "lima", "egypt": "cairo", "japan": "tokyo"}
TEMPLATE = "{% for m in messages %}{{ 'Q: ' if m.role == 'user' else 'A: ' }}{{ m.content }}\n{% endfor %}A: "
WIDTH, HEADS, LAYERS, CONTEXT = 48, 4, 2, 64


def build(out: Path, steps: int = 160) -> None:
    import torch
    import torch.nn.functional as F
    from safetensors.torch import save_file
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    lines = [f"Q: capital of {country}?\nA: {city}." for country, city in CAPITALS.items()]
    vocab = {"<pad>": 0, "<eos>": 1, "<unk>": 2} | {c: n + 3 for n, c in enumerate(sorted(set("".join(lines))))}
    words = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    words.decoder = decoders.Fuse()
    words.add_special_tokens(["<pad>", "<eos>", "<unk>"])

    torch.manual_seed(0)
    torch.set_num_threads(1)
    d = WIDTH
    shapes = {"wte.weight": (len(vocab), d), "wpe.weight": (CONTEXT, d), "ln_f.weight": (d,), "ln_f.bias": (d,)}
    for n in range(LAYERS):
        for name, shape in {"ln_1.weight": (d,), "ln_1.bias": (d,), "attn.c_attn.weight": (d, 3 * d), "attn.c_attn.bias": (3 * d,), "attn.c_proj.weight": (d, d),
                            "attn.c_proj.bias": (d,), "ln_2.weight": (d,), "ln_2.bias": (d,), "mlp.c_fc.weight": (d, 4 * d), "mlp.c_fc.bias": (4 * d,),
                            "mlp.c_proj.weight": (4 * d, d), "mlp.c_proj.bias": (d,)}.items():  # fmt: skip
            shapes[f"h.{n}.{name}"] = shape
    ones = ("ln_1.weight", "ln_2.weight", "ln_f.weight")
    w = {name: (torch.ones(shape) if name.endswith(ones) else torch.zeros(shape) if name.endswith("bias") else torch.randn(shape) * 0.08).requires_grad_()
         for name, shape in shapes.items()}  # fmt: skip

    def norm(x, name):
        return F.layer_norm(x, (d,), w[f"{name}.weight"], w[f"{name}.bias"])

    def run(ids):
        rows, length = ids.shape
        x = w["wte.weight"][ids] + w["wpe.weight"][:length]
        for n in range(LAYERS):
            h = f"h.{n}."
            q, k, v = (norm(x, h + "ln_1") @ w[h + "attn.c_attn.weight"] + w[h + "attn.c_attn.bias"]).split(d, 2)
            q, k, v = (one.view(rows, length, HEADS, d // HEADS).transpose(1, 2) for one in (q, k, v))
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(rows, length, d)
            x = x + mixed @ w[h + "attn.c_proj.weight"] + w[h + "attn.c_proj.bias"]
            wide = F.gelu(norm(x, h + "ln_2") @ w[h + "mlp.c_fc.weight"] + w[h + "mlp.c_fc.bias"], approximate="tanh")
            x = x + wide @ w[h + "mlp.c_proj.weight"] + w[h + "mlp.c_proj.bias"]
        return norm(x, "ln_f") @ w["wte.weight"].T

    known = [[*words.encode(line).ids, 1] for line in lines]
    longest = max(map(len, known))
    data = torch.tensor([ids + [0] * (longest - len(ids)) for ids in known])
    optimizer = torch.optim.AdamW(w.values(), lr=6e-3)
    for step in range(steps):
        logits = run(data[:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, len(vocab)), data[:, 1:].reshape(-1), ignore_index=0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for group in optimizer.param_groups:
            group["lr"] = 6e-3 * max(0.1, 1 - step / steps)

    out.mkdir(parents=True, exist_ok=True)
    save_file(
        {f"transformer.{name}": value.detach().contiguous() for name, value in w.items()},
        out / "model.safetensors",
        metadata={"format": "pt"},
    )
    words.save(str(out / "tokenizer.json"))
    (out / "config.json").write_text(json.dumps(config(len(vocab))))
    (out / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "eos_token": "<eos>",
                "pad_token": "<pad>",
                "unk_token": "<unk>",
                "tokenizer_class": "PreTrainedTokenizerFast",
            }
        )
    )
    (out / "chat_template.jinja").write_text(TEMPLATE)
    print(json.dumps({"loss": float(loss.detach()), "steps": steps}))


def config(vocabulary: int = 30) -> dict:
    """As `save_pretrained` writes it."""
    return {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": WIDTH, "n_head": HEADS, "n_layer": LAYERS, "n_positions": CONTEXT,
        "vocab_size": vocabulary, "activation_function": "gelu_new", "bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0, "attn_pdrop": 0.0, "embd_pdrop": 0.0,
        "resid_pdrop": 0.0, "dtype": "float32", "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True, "transformers_version": "5.24.0", "_name_or_path": "tiny",
    }  # fmt: skip


if __name__ == "__main__":
    build(Path(sys.argv[1]))
