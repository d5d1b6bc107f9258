"""Train Sapwood's demo model: a small Llama on the text of Python's standard library.

    python scripts/train_demo_model.py --minutes 60 --out src/sapwood/models/demo

Needs `torch==2.13.0`, `tokenizers` and `safetensors` (the `dev` extra). Data: docstrings, the language
reference texts of `pydoc`, and the source of the standard library of the Python that runs this (PSF licence).
Runs on a CPU; stop it at any time with Ctrl-C, the last export stays good.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import random
import sysconfig
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 2048,
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "hidden_act": "silu",
    "max_position_embeddings": 1024,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "attention_bias": False,
    "mlp_bias": False,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "dtype": "bfloat16",
}
SPECIAL = ["<|endoftext|>", "<|user|>", "<|assistant|>"]
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SKIPPED = {"test", "tests", "idlelib", "lib2to3", "encodings", "site-packages", "__pycache__", "turtledemo"}


# -- text ---------------------------------------------------------------------------------------------


def documents() -> list[str]:
    """Docstrings as prose, the reference topics twice, and source files."""
    root = Path(sysconfig.get_paths()["stdlib"])
    prose: list[str] = []
    code: list[str] = []
    for path in sorted(root.rglob("*.py")):
        if SKIPPED & set(path.relative_to(root).parts) or path.name == "topics.py":
            continue
        text = path.read_text(errors="ignore")
        if len(text) > 200_000 or not text.isascii():
            continue
        try:
            tree = ast.parse(text)
        except SyntaxError:
            continue
        code.append(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                doc = ast.get_docstring(node)
                if doc and len(doc) > 200:
                    prose.append(doc)
    from pydoc_data.topics import topics

    return prose * 2 + code + [t for t in topics.values() if isinstance(t, str)] * 4


def make_tokenizer(texts: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=CONFIG["vocab_size"],
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


# -- model: the layout and arithmetic of Hugging Face's LlamaForCausalLM ---------------------------------


class RMSNorm(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight, CONFIG["rms_norm_eps"])


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-b, a), dim=-1) * sin


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        h, d = CONFIG["hidden_size"], CONFIG["head_dim"]
        self.heads, self.kv = CONFIG["num_attention_heads"], CONFIG["num_key_value_heads"]
        self.q_proj = nn.Linear(h, self.heads * d, bias=False)
        self.k_proj = nn.Linear(h, self.kv * d, bias=False)
        self.v_proj = nn.Linear(h, self.kv * d, bias=False)
        self.o_proj = nn.Linear(self.heads * d, h, bias=False)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        b, t, _ = x.shape

        def split(y: torch.Tensor, n: int) -> torch.Tensor:
            return y.view(b, t, n, -1).transpose(1, 2)

        q = rotate(split(self.q_proj(x), self.heads), cos, sin)
        k = rotate(split(self.k_proj(x), self.kv), cos, sin)
        v = split(self.v_proj(x), self.kv)
        group = self.heads // self.kv
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, -1))


class MLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        h, m = CONFIG["hidden_size"], CONFIG["intermediate_size"]
        self.gate_proj = nn.Linear(h, m, bias=False)
        self.up_proj = nn.Linear(h, m, bias=False)
        self.down_proj = nn.Linear(m, h, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(CONFIG["hidden_size"])
        self.self_attn = Attention()
        self.post_attention_layernorm = RMSNorm(CONFIG["hidden_size"])
        self.mlp = MLP()

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(CONFIG["vocab_size"], CONFIG["hidden_size"])
        self.layers = nn.ModuleList(Layer() for _ in range(CONFIG["num_hidden_layers"]))
        self.norm = RMSNorm(CONFIG["hidden_size"])
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        half = CONFIG["head_dim"] // 2
        inv = CONFIG["rope_theta"] ** (-torch.arange(half, dtype=torch.float32) / half)
        angle = torch.arange(ids.shape[1], dtype=torch.float32)[:, None] * inv
        angle = torch.cat((angle, angle), dim=-1)
        cos, sin = angle.cos(), angle.sin()
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return F.linear(self.norm(x), self.embed_tokens.weight)


# -- training -------------------------------------------------------------------------------------------


def export(model: Llama, tokenizer: Tokenizer, out: Path) -> None:
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    tensors = {f"model.{k}": v.detach().to(torch.bfloat16).contiguous() for k, v in model.state_dict().items()}
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    generation = {"bos_token_id": 0, "eos_token_id": [0], "temperature": 0.7, "top_p": 0.95, "do_sample": True}
    (out / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    extra = {"chat_template": TEMPLATE, "bos_token": SPECIAL[0], "eos_token": SPECIAL[0]}
    (out / "tokenizer_config.json").write_text(json.dumps(extra, indent=2) + "\n")


@torch.no_grad()
def sample(model: Llama, tokenizer: Tokenizer, prompt: str, n: int = 60) -> str:
    ids = tokenizer.encode(prompt).ids
    for _ in range(n):
        logits = model(torch.tensor([ids[-256:]]))[0, -1]
        ids.append(int(torch.multinomial(F.softmax(logits / 0.7, -1), 1)))
    return tokenizer.decode(ids)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--export-every", type=float, default=10.0, help="minutes")
    args = parser.parse_args()
    torch.manual_seed(0)
    random.seed(0)
    torch.set_num_threads(args.threads)

    texts = documents()
    random.shuffle(texts)
    tokenizer = make_tokenizer(texts[:: max(1, len(texts) // 4000)])
    end = tokenizer.token_to_id(SPECIAL[0])
    held, kept = texts[:40], texts[40:]
    ids = torch.tensor([i for e in tokenizer.encode_batch(kept) for i in [end, *e.ids]], dtype=torch.int32)
    test = torch.tensor([i for e in tokenizer.encode_batch(held) for i in [end, *e.ids]], dtype=torch.int64)
    model = Llama()
    size = sum(p.numel() for p in model.parameters())
    print(f"{len(ids) / 1e6:.2f} M tokens, {size / 1e6:.2f} M parameters", flush=True)

    length, batch, peak = 256, 24, 3e-3
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, betas=(0.9, 0.95), weight_decay=0.05)
    start = last_export = time.time()
    step = 0
    try:
        while (spent := (time.time() - start) / 60) < args.minutes:
            progress = spent / args.minutes
            warm = min(1.0, (step + 1) / 100)
            rate = peak * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
            for group in optimizer.param_groups:
                group["lr"] = rate
            at = torch.randint(len(ids) - length - 1, (batch,))
            rows = torch.stack([ids[i : i + length + 1].long() for i in at])
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = model(rows[:, :-1])
            loss = F.cross_entropy(logits.float().flatten(0, 1), rows[:, 1:].flatten())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            step += 1
            if step % 50 == 0:
                tokens = step * batch * length
                print(f"{spent:5.1f} min  step {step}  {tokens / 1e6:.1f} M tokens  loss {loss.item():.3f}", flush=True)
            if (time.time() - last_export) / 60 > args.export_every:
                export(model, tokenizer, args.out)
                last_export = time.time()
                print(sample(model, tokenizer, "def read_file(path):\n"), flush=True)
    except KeyboardInterrupt:
        print("stopped")
    export(model, tokenizer, args.out)
    with torch.no_grad():
        n = min(len(test) // length, 64)
        rows = test[: n * length].view(n, length)
        loss = F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten()).item()
    print(f"held-out loss {loss:.3f} nats a token after {step * batch * length / 1e6:.1f} M tokens")
    print(sample(model, tokenizer, "The open() function returns"))


if __name__ == "__main__":
    main()
