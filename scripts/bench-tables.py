#!/usr/bin/env python3
"""The tables of docs/performance.md from what blocq-bench wrote: bench-tables.py CSV[,CSV...] [TABLE ...].

TABLE is decode, prefill or interleaved, all three if none is named; figures of several files are side by side. A cell is blocq's rate and, in brackets, its ratio to
the peer of the same rounds; `share` is of the loop that bounds the operation.
"""
import csv
import sys


def rows(path):
    """{format: {(operation, shape): row}}, formats in the order of the file."""
    table = {}
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            table.setdefault(row["format"], {})[row["op"], row["shape"]] = row
    return table


def rate(row):
    """Gelem/s or GFLOP/s."""
    return float(row["blocq"]) / (1000 if row["unit"] == "Melem/s" else 1)


def ratio(row):
    return float(row["ratio"]) if row["peer"] not in ("", "-", "0") and float(row["ratio"]) > 0 else None


def cell(row, digits=1):
    if row is None:
        return ""
    r = ratio(row)
    return f"{rate(row):.{digits}f}" + (f" ({r:.2f})" if r else "")


def only_ratio(row):
    r = ratio(row) if row else None
    return f"{r:.2f}" if r else ""


def share(row):
    return f"{100 * float(row['share_of_limit']):.0f} %" if row else ""


def whole(row):
    return cell(row, 0)


TABLES = {
    "decode": [
        ("gemv, cache", "gemv", "256 KB", cell),
        ("memory", "gemv", "160 MB", cell),
        ("share", "gemv", "160 MB", share),
        ("dot", "dot", "16x4096", cell),
        *((f"N = {n}", "gemm", f"N={n}", whole) for n in (2, 4, 8)),
    ],
    "prefill": [
        *((f"N = {n}", "gemm", f"N={n}", whole) for n in (32, 128)),
        *((f"share, N = {n}", "gemm", f"N={n}", share) for n in (32, 128)),
    ],
    "interleaved": [
        ("gemv, cache", "gemv_interleaved", "256 KB", only_ratio),
        ("memory", "gemv_interleaved", "160 MB", only_ratio),
        *((f"gemm, N = {n}", "gemm_interleaved", f"N={n}", only_ratio) for n in (2, 4, 8, 32)),
    ],
}


def main():
    if len(sys.argv) < 2 or any(name not in TABLES for name in sys.argv[2:]):
        sys.exit(__doc__)
    measured = [rows(path) for path in sys.argv[1].split(",")]
    for name in sys.argv[2:] or TABLES:
        columns = TABLES[name]
        print("| format |" + "|".join(f" {title} " for title, *_ in columns) + "|")
        print("|---|" + "---:|" * len(columns))
        for format_name in measured[0]:
            cells = [" / ".join(filter(None, (show(m.get(format_name, {}).get((op, shape))) for m in measured)))
                     for _, op, shape, show in columns]
            if any(cells):
                print(f"| {format_name} |" + "|".join(f" {c} " if c else "  " for c in cells) + "|")
        print()


main()
