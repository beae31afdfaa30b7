#!/usr/bin/env bash
# Package descriptions that cannot read version.hpp repeat its version; here they are held to it.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=$(scripts/version.sh)
for line in "CITATION.cff:version: $version" "packaging/vcpkg/blocq/vcpkg.json:\"version\": \"$version\"" "MODULE.bazel:version = \"$version\""; do
  grep -qF "${line#*:}" "${line%%:*}" || { echo "${line%%:*} does not say $version"; exit 1; }
done
