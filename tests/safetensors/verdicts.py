#!/usr/bin/env python3
"""What the reference library (Python package safetensors) says of the files in tests/golden/safetensors/cases.txt.

  verdicts.py          compares with the table and exits with 1 where it disagrees
  verdicts.py --write  writes its verdicts into the table
"""
import pathlib
import re
import sys

table = pathlib.Path(__file__).resolve().parent.parent / "golden" / "safetensors" / "cases.txt"


def text_of(field):
    """The bytes that a header's description stands for."""
    field = re.sub(r"~(\d+)~([^~]*)~", lambda m: m[2] * int(m[1]), field)
    plain = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}
    unescape = lambda m: chr(int(m[1][1:], 16)) if m[1][0] == "x" else plain[m[1]]
    return re.sub(r"\\(x[0-9a-f]{2}|.)", unescape, field).encode("latin-1")


def file_of(length, data, header):
    header = text_of(header)
    if length == "none":
        return b""
    if length.startswith("cut"):
        return bytes([2] + [0] * 7)[: int(length[3:])]
    n = len(header) if length == "=" else len(header) + int(length) if length[0] in "+-" else int(length)
    return n.to_bytes(8, "little") + header + bytes(int(data))


def main():
    try:
        import safetensors
    except ImportError:
        print("skipped: there is no Python package safetensors")
        return 0
    lines, different = table.read_text().splitlines(), 0
    for i, line in enumerate(lines):
        if line.startswith("#"):
            continue
        name, reference, blocq, length, data, header = line.split("\t")
        try:
            safetensors.deserialize(file_of(length, data, header))
            verdict = "ok"
        except safetensors.SafetensorError:
            verdict = "no"
        if verdict != reference:
            different += 1
            if "--write" not in sys.argv:
                print(f"{name}: {verdict}, not {reference}")
        lines[i] = "\t".join([name, verdict, blocq, length, data, header])
    if "--write" in sys.argv:
        table.write_text("\n".join(lines) + "\n")
        return 0
    print(f"safetensors {safetensors.__version__}: {different} verdicts differ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
