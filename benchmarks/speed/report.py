"""Tables of the measurements."""

from __future__ import annotations

from typing import Any

#: System that the others are compared with.
REFERENCE = "published"

_HEAD = (
    f"{'system':<12}{'precision':<10}{'seconds':>9}{'CPU s':>9}{'GFLOP':>9}{'GB':>8}"
    f"{'of peak':>8}{'of copy':>8}{'peak GiB':>9}{'faster':>8}{'memory':>8}"
)


def machine_line(row: dict[str, Any]) -> str:
    """What the machine can do, in a line."""
    if "error" in row:
        return f"the machine could not be measured: {row['error']}"
    flops = ", ".join(f"{v / 1e9:.0f} GFLOP/s {k}" for k, v in row["flops"].items())
    return (
        f"{row['name']}, torch {row['torch']}, {row['used']} threads: products {flops}; "
        f"copy {row['bandwidth'] / 1e9:.1f} GB/s"
    )


def as_table(rows: list[dict[str, Any]], machine: dict[str, Any]) -> str:
    """Rows of one size and task; ratios are those of processor time, and of wall time on GPUs."""
    first = rows[0]
    lines = [
        f"\n{first['task']} at {first['size']}, members {first['members']}, profiles in "
        f"{100 * first['share']:g} % of the columns",
        _HEAD,
    ]
    reference = next((r for r in rows if r["system"] == REFERENCE and "error" not in r), None)
    return "\n".join(lines + [_line(row, reference, machine) for row in rows])


def _line(row: dict[str, Any], reference: dict[str, Any] | None, machine: dict[str, Any]) -> str:
    head = f"{row['system']:<12}{row['precision']:<10}"
    if "error" in row:
        return f"{head}  {row['error']}"
    cells = [f"{row['seconds']:9.3f}", f"{row['cpu']:9.3f}"]
    flop, traffic = row.get("flop"), row.get("bytes")
    cells.append("        -" if flop is None else f"{flop / 1e9:9.2f}")
    cells.append("       -" if traffic is None else f"{traffic / 1e9:8.2f}")
    for count, peak in (
        (flop, machine.get("flops", {}).get(row["precision"])),
        (traffic, machine.get("bandwidth")),
    ):
        known = count is not None and peak
        cells.append(f"{100 * count / row['seconds'] / peak:7.0f}%" if known else "       -")
    memory = row.get("gpu", row["peak"])
    cells.append(f"{memory / 2**30:9.2f}")
    if reference is not None:
        clock = "seconds" if "gpu" in row else "cpu"
        cells.append(f"{reference[clock] / max(row[clock], 1e-9):7.1f}x")
        cells.append(f"{memory / reference.get('gpu', reference['peak']):7.2f}x")
    told = f"  core {100 * row['core']:.0f} %" if "core" in row else ""
    return head + "".join(cells) + told


def scaling_table(name: str, rows: list[dict[str, Any]]) -> str:
    """How time and memory grow with a number."""
    field = {"observations": "share", "years": "cycles", "levels": "size"}.get(name, name)
    lines = [f"\nscaling in {name} ({rows[0]['system']}, {rows[0]['task']})"]
    lines.append(f"{field:<12}{'size':<12}{'seconds':>10}{'CPU s':>10}{'peak GiB':>10}")
    for row in rows:
        start = f"{row[field]!s:<12}{row['size']:<12}"
        if "error" in row:
            lines.append(f"{start}{row['error']}")
            continue
        memory = row["peak"] / 2**30
        lines.append(f"{start}{row['seconds']:10.3f}{row['cpu']:10.3f}{memory:10.2f}")
    return "\n".join(lines)
