#!/bin/sh
# Tests what a device installs, from the wheel and in throw-away environments without TensorFlow:
# the base install, and tflite-runtime (the interpreter of 32-bit boards), which needs Python 3.11.
# PYTHON names the interpreter of the base install.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
work=$root/.venv-runtimes
PYTHON=${PYTHON:-python3}

say() { echo "test-runtimes: $*" >&2; }

is_python_311() {
    "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null
}

# environment NAME PYTHON LOCK: sets `bin` to the programs of a new environment with edgekit in it.
environment() {
    say "$1: $($2 --version), locks/$3.txt"
    bin=$work/$1/bin
    "$2" -m venv --clear "$work/$1"
    "$bin/python" -m pip install --quiet --disable-pip-version-check \
        --require-hashes -r "locks/$3.txt"
    if [ ! -d "$work/wheel" ]; then
        "$bin/python" -m pip wheel --quiet --disable-pip-version-check \
            --no-deps --no-build-isolation --wheel-dir "$work/wheel" .
    fi
    # Without its dependencies: the lock has them, and one of them is the interpreter under test.
    "$bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-index \
        "$work"/wheel/*.whl
}

# suite NAME: the tests of the checkout, against the package that is installed.
suite() {
    # Not from the checkout, whose edgekit a `python -m` would find before the installed one.
    (
        cd "$work/$1" &&
        "$bin/python" -c 'import sys, edgekit; assert edgekit.__file__.startswith(sys.prefix)' &&
        "$bin/pytest" -c "$root/pyproject.toml" --rootdir "$root" -p no:cacheprovider \
            "$root/tests/runtime" "$root/tests/test_tensor.py" "$root/tests/test_samples.py" \
            "$root/tests/test_device.py" "$root/tests/test_files.py" \
            "$root/tests/test_config.py" "$root/tests/test_recipe.py" \
            "$root/tests/test_preprocess.py" "$root/tests/test_metadata.py" \
            "$root/tests/cli/test_on_device.py" "$root/tests/examples"
    )
}

rm -rf "$work/wheel"
failed=""
ran=""

try() {
    ran="$ran $1"
    environment "$1" "$2" "$3"
    suite "$1" || failed="$failed $1"
}

if "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    try base "$PYTHON" base
else
    say "base: SKIPPED, $PYTHON is no Python from 3.10. Name one: make test-runtimes PYTHON=..."
fi

python311=""
for candidate in "$PYTHON" python3.11; do
    if [ -z "$python311" ] && is_python_311 "$candidate"; then python311=$candidate; fi
done
if [ -n "$python311" ]; then
    try tflite-runtime "$python311" tflite-runtime
else
    say "tflite-runtime: SKIPPED, its newest wheels are for Python 3.11 and python3.11 was not found"
fi

if [ -z "$ran" ]; then say "nothing was tested"; exit 1; fi
if [ -n "$failed" ]; then say "failed:$failed"; exit 1; fi
say "passed:$ran"
