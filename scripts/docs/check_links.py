"""Fails if a page of the site leads to a file or an anchor that is not there: check_links.py SITE"""
import html.parser
import pathlib
import sys
import urllib.parse

site = pathlib.Path(sys.argv[1]).resolve()


class page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.anchors, self.links = set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id" or (name == "name" and tag == "a"):
                self.anchors.add(value)
            elif name in ("href", "src") and value is not None:
                self.links.append(value)


pages = {path: page(path) for path in site.rglob("*.html")}
broken = []
for path, content in pages.items():
    for link in content.links:
        parts = urllib.parse.urlsplit(link)
        if parts.scheme or parts.netloc:
            if parts.scheme not in ("https", "http", "mailto", "javascript", "data"):
                broken.append((path, link))
            continue
        target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
        anchor = urllib.parse.unquote(parts.fragment)
        if not target.exists() or (anchor and target in pages and anchor not in pages[target].anchors):
            broken.append((path, link))
for path, link in broken:
    print(f"{path.relative_to(site)}: {link} leads nowhere", file=sys.stderr)
sys.exit(1 if broken else 0)
