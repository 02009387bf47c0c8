#!/bin/sh
# Installs a build into a folder of its own, builds examples/classify against it as a stranger would, and runs it.
#   tests/install_test.sh [BUILD] [MODEL IMAGE]
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$source/build}
model=${2:-$source/models/default}
image=${3:-}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { echo "install_test: $1" >&2; exit 1; }

cmake --install "$build" --prefix "$scratch/tessera" >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "cannot be installed"; }
# Outside the source tree, with nothing of it in the include path.
cp -r "$source/examples/classify" "$scratch/example"
{ cmake -G Ninja -S "$scratch/example" -B "$scratch/build" -DCMAKE_PREFIX_PATH="$scratch/tessera" -DCMAKE_BUILD_TYPE=None &&
  cmake --build "$scratch/build"; } >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "the example does not build"; }
classify=$scratch/build/classify

"$classify" --help | grep -q '^usage: classify' || fail "--help prints no usage"
status=0
"$classify" >"$scratch/out" 2>&1 || status=$?
[ "$status" -eq 2 ] || fail "without arguments it exits with $status"
status=0
"$classify" "$scratch/no-model" picture.png cat dog >"$scratch/out" 2>&1 || status=$?
[ "$status" -eq 2 ] || { cat "$scratch/out"; fail "without a model it exits with $status"; }
grep -q "no-model: does not exist" "$scratch/out" || { cat "$scratch/out"; fail "without a model it does not say so"; }

# The module that trains tokenizers is looked for beside the library.
find "$scratch/tessera" -name libtessera_sentencepiece.so | grep -q . || fail "libtessera_sentencepiece.so is not installed"
[ "$(find "$scratch/tessera" -name libtessera_sentencepiece.so -exec dirname {} \;)" = \
  "$(find "$scratch/tessera" -name libtessera.so -exec dirname {} \;)" ] || fail "libtessera_sentencepiece.so lies elsewhere than libtessera.so"
"$scratch/tessera/bin/tessera" --version >/dev/null || fail "the installed program does not start"

if [ -f "$model/model.safetensors" ]; then
  [ -n "$image" ] || image=$(find "$source/demo" "$source/tests" \( -name '*.png' -o -name '*.jpg' \) 2>/dev/null | head -n 1)
  "$classify" "$model" "$image" "a cat" "a dog" "a house" || fail "the model of $model does not classify"
fi
echo "install_test: the installed package works"
