#!/usr/bin/env bash
# Builds the documentation as a site in build/site, which needs no server: a page for every format with its bits as the
# program finds them, docs/*.md, and the API reference. A link that leads nowhere and a warning of doxygen fail it.
#
# MkDocs makes the pages: it reads docs/*.md as they are, resolves links among them, has an index for searching that
# works without a network, and takes a theme of one file. Doxygen knows C++. Both are Debian's.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null
scripts/setup.sh cmake ninja-build g++ libxsimd-dev libcli11-dev nlohmann-json3-dev mkdocs doxygen

SECONDS=0
mkdir -p build/docs
# The program is needed for what formats are, not for speed.
blocq=${BLOCQ:-build/bin/blocq}
if [ ! -x "$blocq" ]; then
  blocq=build/docs/program/bin/blocq
  { cmake -S . -B build/docs/program -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-O1 \
      -DBLOCQ_PROGRAM_ARCHS= -DBLOCQ_BUILD_TESTS=OFF
    cmake --build build/docs/program --target blocq_program -j "$(nproc)"; } >build/docs/build.log 2>&1 ||
    { tail -n 40 build/docs/build.log >&2; exit 1; }
fi

rm -rf build/docs/pages build/docs/pictures build/site
/usr/bin/python3 scripts/docs/pages.py "$blocq" build/docs/pages
mkdocs build --quiet --strict --config-file scripts/docs/mkdocs.yml
doxygen scripts/docs/Doxyfile >build/docs/doxygen.log 2>build/docs/doxygen.err ||
  { head -n 40 build/docs/doxygen.err >&2; echo "docs: doxygen warns, $(wc -l <build/docs/doxygen.err) lines" >&2; exit 1; }
# Scripts, which api_header.html does not load, and pages that list again what their class has.
rm -f build/site/api/{jquery,dynsections}.js build/site/api/*-members.html
find build/site/api -name '*.html' -exec sed -i -e 's/ onclick="[^"]*"//g' \
  -e 's|\( &#124;\n\)*<a href="[^"]*-members.html">[^<]*</a>||' {} +
/usr/bin/python3 scripts/docs/search.py build/site build/docs/api.tags
/usr/bin/python3 scripts/docs/check_links.py build/site
size=$(($(du -sb build/site | cut -f1) / 1000))
[ "$size" -lt 5000 ] || { echo "docs: the site has $size kB" >&2; exit 1; }
echo "build/site/index.html: $(find build/site -name '*.html' | wc -l) pages, $size kB, $SECONDS s"
