"""Write a checkpoint with random weights: `python scripts/make_model.py llama-1b DIRECTORY [--seed N]`."""

from __future__ import annotations

import argparse

from sapwood.models.random_checkpoint import SHAPES, write_checkpoint

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("directory")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(write_checkpoint(options.directory, SHAPES[options.shape], options.seed))
