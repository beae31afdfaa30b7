"""The sources of the site: docs/*.md with links as a site has them, and a page for every format as the program sees it.
pages.py BLOCQ OUT"""
import json
import pathlib
import re
import subprocess
import sys

blocq, out = sys.argv[1], pathlib.Path(sys.argv[2])
root = pathlib.Path(__file__).resolve().parents[2]


def run(*arguments):
    return subprocess.run([blocq, *arguments], check=True, capture_output=True, text=True).stdout


def site_links(text, folder):
    """Links out of docs/ become links to the reference, or lose their target: it is in no site."""
    def link(match):
        words, target = match.groups()
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        path, _, anchor = target.partition("#")
        inside = (folder / path).resolve().relative_to(root)
        if not (root / inside).exists():
            sys.exit(f"pages.py: a link to {target} leads nowhere")
        if inside.parts[0] == "docs" and inside.suffix in (".md", ".svg", ".png"):
            new = inside.relative_to("docs").as_posix()
        elif inside.parts[0] == "include" and inside.suffix == ".hpp":
            # As HTML: MkDocs knows its own pages only. check_links.py knows all.
            return f'<a href="api/{inside.name.replace("_", "__").replace(".", "_8")}.html">{words}</a>'
        elif inside.name == "README.md" and len(inside.parts) == 1:
            new = "index.md"
        else:
            return words
        return f"[{words}]({new}{'#' + anchor if anchor else ''})"

    parts = re.split(r"(```.*?```)", text, flags=re.S)
    return "".join(p if p.startswith("```") else re.sub(r"\[([^\]]*)\]\(([^)\s]+)\)", link, p) for p in parts)


def family(name):
    for start, title in (("mx", "OCP MX"), ("nv", "NVFP4"), ("iq", "GGUF IQ"), ("tq", "ternary"), ("nf", "bitsandbytes"),
                         ("bnb", "bitsandbytes"), ("f16", "16-bit floats"), ("bf16", "16-bit floats")):
        if name.startswith(start):
            return title
    return "GGUF K" if name.endswith("_k") else "GGUF, one scale"


# What multiplies these numbers by itself; everything else turns them into integers or floats first.
blackwell, both = "NVIDIA Blackwell", "NVIDIA Blackwell, AMD CDNA 4"
hardware = {
    "nvfp4": blackwell, "mxfp4": both, "mxfp4_ocp": both, "mxfp6_e2m3": both, "mxfp6_e3m2": both, "mxfp8_e4m3": both,
    "mxfp8_e5m2": both, "f16": "most GPUs, Armv8.2-A, AVX-512 FP16",
    "bf16": "NVIDIA Ampere and later, AMD CDNA, Armv8.6-A, AVX-512 BF16, AMX",
}

(out / "formats").mkdir(parents=True)
(out / ".." / "pictures").mkdir(exist_ok=True)
for page in sorted((root / "docs").glob("*.md")):
    (out / page.name).write_text(site_links(page.read_text(), page.parent))
(out / "index.md").write_text(site_links((root / "README.md").read_text(), root))
for picture in [*(root / "docs").glob("*.svg"), *(root / "docs").glob("*.png")]:
    (out / picture.name).write_bytes(picture.read_bytes())

listed = [f for f in json.loads(run("formats", "--json")) if f["name"] != "f32" and not f["name"].startswith(("nvfp4_", "nf4_"))]
rows = []
for entry in listed:
    name = entry["name"]
    svg = out / ".." / "pictures" / f"{name}.svg"  # for hooks.py
    facts = json.loads(run("formats", name, "--json", "--svg", str(svg)))
    diagram = run("formats", name)
    block = diagram.split("\n\n", 2)[2].split("\ndot products")[0].split("\nrelative RMS")[0].rstrip()
    error = facts.get("normal_relative_rmse")
    error_text = "there is no encoder" if error is None else f"{100 * error:.3g} %"
    table = [
        ("bits per weight", f"{facts['bits_per_weight']:.4f}"),
        ("a block", f"{facts['block_size']} weights in {facts['block_bytes']} bytes"),
        ("a number", f"`{facts['formula']}`"),
        ("codes", facts["values"]),
        ("error of normally distributed numbers", error_text),
        ("GGUF type", "none" if facts["gguf_id"] is None else str(facts["gguf_id"])),
        ("dot products with", "floats" if facts["operand"] is None else f"[{facts['operand']}]({facts['operand']}.md)"),
        ("importance weights", "needed" if facts["importance_required"] else "used" if facts["importance"] else "ignored by the reference"),
        ("computed by hardware", hardware.get(name, "-")),
        ("fields", ", ".join(f"`{f['name']}`" + (f"[{f['count']}]" if f["count"] > 1 else "") + f" at byte {f['offset']}"
                             for f in facts["fields"])),
    ]
    lines = [f"# {name}", "", f"{family(name)}. [How to read this](../formats.md), [all formats](index.md).", "",
             "| what | value |", "|---|---|", *(f"| {k} | {v} |" for k, v in table), "", "## The bytes", "",
             "```", block, "```", "",
             "## Every bit", "", "PICTURE", "",
             "## In C++", "", "```cpp", "#include <blocq/blocq.hpp>", "",
             f"std::vector<blocq::{name}> blocks(blocq::blocks_for<blocq::{name}>(row.size()));",
             *([f"if (const auto s = blocq::quantize(row, blocks); !s) return report(s.message());"] if facts["encode"] else []),
             "if (const auto s = blocq::dequantize(blocks, row); !s) return report(s.message());", "```", ""]
    (out / "formats" / f"{name}.md").write_text("\n".join(lines))
    rows.append((facts["bits_per_weight"], name, family(name), facts, error_text))


def index_table(rows):
    yield "| format | bits per weight | weights per block | family | error of normal numbers | hardware |"
    yield "|---|---|---|---|---|---|"
    for bits, name, kind, facts, error in rows:
        yield f"| [{name}]({name}.md) | {bits:.4f} | {facts['block_size']} | {kind} | {error} | {hardware.get(name, '-')} |"


lines = ["# Formats", "", "Where each bit of each format lies, as the library's own accessors and decoders have it. "
         "[The formats explained](../formats.md) says what names mean and what becomes of odd input.", "",
         "## By bits per weight", "", *index_table(sorted(rows)), "", "## By family", ""]
for kind in dict.fromkeys(r[2] for r in rows):
    lines += [f"- {kind}: " + ", ".join(f"[{r[1]}]({r[1]}.md)" for r in rows if r[2] == kind)]
lines += ["", "## By hardware that computes with them", ""]
for kind in dict.fromkeys(hardware.get(r[1]) for r in rows if r[1] in hardware):
    lines += [f"- {kind}: " + ", ".join(f"[{r[1]}]({r[1]}.md)" for r in rows if hardware.get(r[1]) == kind)]
(out / "formats" / "index.md").write_text("\n".join(lines) + "\n")
