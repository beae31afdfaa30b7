#!/bin/sh
# Prints the version that include/blocq/version.hpp states.
sed -n 's/^#define BLOCQ_VERSION_[A-Z]* //p' "$(dirname "$0")/../include/blocq/version.hpp" | paste -sd.
