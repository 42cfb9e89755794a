"""Time, memory, operations and bytes of the systems, against the one as published.

Each measurement is a process of its own, so that its peak memory is that of the whole
process, as ``/usr/bin/time -v`` gives it.  Input is random but realistic; no file is read.

python -m benchmarks speed --sizes 4deg 1deg --tasks analysis step cycle
python -m benchmarks speed --scaling
python -m benchmarks speed --gpu --full
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import common
from benchmarks.speed.asking import SCALINGS, Wish, measured
from benchmarks.speed.report import as_table, machine_line, scaling_table
from benchmarks.speed.sizes import SHARE, SIZES
from benchmarks.speed.systems import SYSTEMS

#: Cycles of a year.
_YEAR = 73


def main(arguments: list[str]) -> int:
    """Measure what is asked for; tables go to the screen and to the folder."""
    options = _options(arguments)
    if options.one:
        from benchmarks.speed.tasks import measure

        print(json.dumps(measure(Wish(**json.loads(options.one)))))
        return 0
    wish = Wish(
        size=options.sizes[0], system="hybrid", task="machine", precision="float32",
        device=options.device, threads=options.threads, members=options.members,
        share=options.share, cycles=options.cycles, repeat=options.repeat, seed=options.seed,
        compiled=options.compiled,
    )  # fmt: skip
    machine = measured(wish)
    rows, text = [machine], [machine_line(machine)]
    print(text[0], flush=True)
    tables = _scaling(options, wish) if options.scaling else _systems(options, wish, machine)
    for made, table in tables:
        rows += made
        text.append(table)
        print(table, flush=True)
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "speed.txt").write_text("\n".join(text) + "\n", encoding="utf-8")
    (folder / "speed.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    """What is asked for."""
    parser = common.parser("speed", str(__doc__).splitlines()[0])
    tasks = ("analysis", "step", "cycle")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["tiny", "4deg"])
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--tasks", nargs="+", choices=tasks, default=list(tasks))
    parser.add_argument("--precisions", nargs="+", default=["float32"])
    parser.add_argument("--members", type=int, default=1)
    parser.add_argument("--share", type=float, default=SHARE, help="of the columns with a profile")
    parser.add_argument("--cycles", type=int, default=4, help="of an end-to-end run")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compiled", action="store_true", help="torch.compile the networks")
    parser.add_argument("--scaling", action="store_true", help="grow one number after the other")
    parser.add_argument("--gpu", action="store_true", help="on a GPU, in both precisions")
    parser.add_argument("--full", action="store_true", help="1 degree, 38 levels, and a year")
    parser.add_argument("--one", help="(of the measurements themselves) a wish as JSON")
    options = parser.parse_args(arguments)
    if options.gpu:
        options.device, options.precisions = "cuda", ["float32", "bfloat16"]
    if options.full:
        options.sizes = ["1deg"]
    return options


def _systems(
    options: argparse.Namespace, wish: Wish, machine: dict[str, Any]
) -> Iterator[tuple[list[dict[str, Any]], str]]:
    """Measurements of the systems, and tables of them."""
    for size, task in itertools.product(options.sizes, options.tasks):
        made = [
            measured(replace(wish, size=size, task=task, system=system, precision=precision))
            for precision, system in itertools.product(options.precisions, options.systems)
        ]
        yield made, as_table(made, machine)
    if options.full:
        year = replace(wish, task="cycle", members=10, cycles=_YEAR, repeat=1)
        made = [measured(replace(year, precision=options.precisions[-1]))]
        yield made, as_table(made, machine)


def _scaling(options: argparse.Namespace, wish: Wish) -> Iterator[tuple[list[dict[str, Any]], str]]:
    """Measurements in which a number grows, and tables of them."""
    for name, size in itertools.product(SCALINGS, options.sizes):
        made = [measured(one) for one in SCALINGS[name](replace(wish, size=size))]
        yield made, scaling_table(name, made)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
