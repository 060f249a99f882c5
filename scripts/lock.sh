#!/bin/sh
# Makes the hash-pinned locks anew with uv. Plain pip installs them.
set -eu
cd "$(dirname "$0")/.."
lock() {
    out=$1; shift
    uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
        --output-file "locks/$out.txt" "$@"
}
lock dev --python-version 3.10 --extra dev pyproject.toml
lock base --python-version 3.10 --extra test --extra build pyproject.toml
lock tflite-runtime --python-version 3.11 locks/tflite-runtime.in
