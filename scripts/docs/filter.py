"""Doxygen's input filter. The comments of the headers are plain: those of namespaces' and classes' members become what
doxygen reads, with drawings as they stand, and namespaces become what users write."""
import re
import sys


def escape(text):
    return re.sub(r'([\\@<>&$#%"|])', r"\\\1", text).replace("::", r"\::")


def blocks(lines):
    """Runs of comment lines of one indentation, and single lines of code."""
    run, indent = [], None
    for line in lines:
        match = re.match(r"^(\s*)//(?: (.*)|)$", line)
        if match and "clang-format" not in line:
            if run and match[1] != indent:
                yield indent, run
                run = []
            indent = match[1]
            run.append(match[2] or "")
            continue
        if run:
            yield indent, run
            run = []
        yield None, line
    if run:
        yield indent, run


source = open(sys.argv[1], encoding="utf-8").read()
# Doxygen wants to have seen a template of std that is specialized.
source = re.sub(r"^template <[^\n]*\n(class|struct) std::.*?^};$", "", source, flags=re.M | re.S)
# It lists a concept that has no comment but makes no page for it.
source = re.sub(r"(?<=\n\n)(template <[^\n]*>\nconcept )", r"// What is required:\n\1", source)

# What the head of a file is about has no comment of its own.
source = re.sub(r"(?<=\n\n)(class \w+ {\n)", r"// What the head of this file is about.\n\1", source)

out, in_class, file_comment = [], False, True
for indent, content in blocks(source.split("\n")):
    if indent is None:
        line = content
        if line.startswith("namespace"):
            line = re.sub(r"::inline (v0|BLOCQ_ISA)\b", "", line)
        if re.match(r"^(template|struct|class|enum|union)\b.*{$", line) and not line.endswith("}"):
            in_class = re.search(r"\b(struct|class|enum|union)\b", line) is not None and "(" not in line
        elif line.startswith("}"):
            in_class = False
        elif in_class:
            line = re.sub(r"^(  \S[^/]*[;,])\s+// (.*)$", lambda m: f"{m[1]}  ///< {escape(m[2])}", line)
        out.append(line)
        continue
    if indent != "" and not (in_class and indent == "  "):
        out.extend(f"{indent}// {text}" for text in content)
        continue
    if file_comment:
        out.append("/// @file")
        file_comment = False
    drawing = False
    for text in content:
        if text.startswith("  ") != drawing:
            drawing = not drawing
            out.append(f"{indent}/// {'<pre>' if drawing else '</pre>'}")
        text = escape(text)
        out.append(f"{indent}/// {re.sub(r'^ +-', '  &minus;', text) if drawing else text}")  # '-' begins a list
    if drawing:
        out.append(f"{indent}/// </pre>")
sys.stdout.write("\n".join(out))
