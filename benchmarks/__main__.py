"""Command line of the benchmarks: ``python -m benchmarks NAME --help``."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

NAMES = (
    "ablations", "argo", "casts", "forecast", "influence", "kalman", "osse", "production", "qc",
    "readers", "sections", "several", "speed", "streams", "superob", "tao", "thinning", "trend",
    "twin",
)  # fmt: skip


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", add_help=False)
    parser.add_argument("name", choices=NAMES, help="which benchmark")
    chosen, rest = parser.parse_known_args(arguments)
    return int(import_module(f"benchmarks.{chosen.name}").main(rest))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
