"""Many prompts at once, from a file, to a file of JSON lines. No server, no network.

    python examples/batch_generation.py [prompts.txt] [--output out.jsonl] [--model DIRECTORY]

A line of the file is a prompt. The engine batches all of them: each step of the model continues every prompt that is
running. Without a file it continues a few beginnings of Python with the demo model.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from sapwood import LLM, SamplingParams, demo_model

PROMPTS = [
    "def read_lines(path):",
    "class Queue:\n    def __init__(self",
    "import os\nimport sys\n\n",
    "    def close(self):\n",
    "for key, value in ",
    '    """Return the number of',
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prompts", type=Path, nargs="?", help="a file with one prompt a line")
    parser.add_argument("--model", default=demo_model(), help="a directory or a repository id; default: the demo model")
    parser.add_argument("--output", type=Path, help="where to write; default: standard output")
    parser.add_argument("--max-tokens", type=int, default=48)
    options = parser.parse_args()
    prompts = options.prompts.read_text(encoding="utf-8").splitlines() if options.prompts else PROMPTS
    llm = LLM(options.model, max_num_seqs=16)
    params = SamplingParams(temperature=0.7, top_p=0.95, seed=1, max_tokens=options.max_tokens)
    start = time.perf_counter()
    outputs = llm.generate(prompts, params)
    seconds = time.perf_counter() - start
    file = options.output.open("w", encoding="utf-8") if options.output else sys.stdout
    for output in outputs:
        result = output.outputs[0]
        line = {"prompt": output.prompt, "text": result.text, "finish_reason": result.finish_reason}
        print(json.dumps(line, ensure_ascii=False), file=file)
    if options.output:
        file.close()
    count = sum(len(output.outputs[0].token_ids) for output in outputs)
    print(f"{len(outputs)} prompts, {count} tokens in {seconds:.2f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
