"""The index for searching as a script, which a page that was opened from a file may load where it may not fetch: MkDocs' of
the sections and doxygen's of the names. search.py SITE TAGFILE"""
import json
import pathlib
import sys
import xml.etree.ElementTree as xml

search, tags = pathlib.Path(sys.argv[1], "search"), xml.parse(sys.argv[2])
docs = [d for d in json.loads((search / "search_index.json").read_text())["docs"] if "#" in d["location"]]
for compound in tags.iter("compound"):
    kind, name = compound.get("kind"), compound.findtext("name")
    if kind in ("class", "struct", "concept"):
        docs.append({"location": "api/" + compound.findtext("filename"), "title": name, "text": kind})
    for member in compound.findall("member"):
        if member.findtext("anchor") and member.get("kind") in ("function", "enumeration", "typedef", "define"):
            where = " in " + name if kind == "file" else ""
            within = name + "::" if kind in ("class", "struct", "namespace") else ""
            docs.append({"location": f"api/{member.findtext('anchorfile')}#{member.findtext('anchor')}",
                         "title": within + member.findtext("name"), "text": member.get("kind") + where})
# Overloads stand together: the first leads to all.
unique = {}
for d in docs:
    unique.setdefault((d["title"], d["text"]) if d["location"].startswith("api/") else d["location"], d)
(search / "search_index.js").write_text("var search_index = " + json.dumps(list(unique.values())).replace("</", "<\\/") + ";\n")
for unused in ("search_index.json", "main.js", "worker.js"):
    (search / unused).unlink()
