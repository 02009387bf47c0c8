#!/bin/bash
# Drives classify, search and embed as a user does: answers, exit statuses, damaged files, and an index that survives.
# Usage: tests/apps/cli.sh BUILD/tessera   (the model: $TESSERA_MODEL, else models/default; 77: there is none)
set -u
tessera=$(realpath "$1")
source=$(cd "$(dirname "$0")/../.." && pwd)
export TESSERA_MODEL=${TESSERA_MODEL:-$source/models/default}
[ -f "$TESSERA_MODEL/config.json" ] || { echo "no model to test with"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_STATE_HOME=$work/state
failed=0

# expect STATUS PATTERN COMMAND...: the exit status, and an extended regular expression in what is printed
expect() {
  local status=$1 pattern=$2 printed
  shift 2
  printed=$("$@" 2>&1 < /dev/null)
  local got=$?
  if [ $got -ne "$status" ] || ! grep -qE -- "$pattern" <<< "$printed"; then
    echo "FAILED ($got, wanted $status and '$pattern'): $*"
    echo "$printed" | head -5
    failed=1
  fi
}

cp -r "$source/demo/pictures" "$work/pictures"
cd "$work" || exit 1
labels="cat,car,house"
: > empty.png
head -c 60 pictures/cat.svg > cut.svg
echo "no picture" > text.jpg
cp pictures/cat.svg mislabelled.png
printf '\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x01\x86\xa0\x00\x01\x86\xa0\x08\x02\x00\x00\x00\x27\x30\x9c\x9f\x00\x00\x00\x0aIDAT0123456789' > huge.png

# caption, ask, chat: where the model talks, and where it does not
if grep -q tessera-talker "$TESSERA_MODEL/config.json"; then
  expect 0 '^\{"input":"pictures/cat.svg","language":"en","log_probability":-[0-9.e-]+,"text":"[^"]+"\}' \
    "$tessera" caption pictures/cat.svg --json
  expect 0 '"question":"What colour is it\?","text":"[a-z]+"' "$tessera" ask pictures/*.svg "What colour is it?" --json
  expect 0 '"text":"(yes|no)"' "$tessera" ask pictures/cat.svg -q "Is this a cat?" -q "Is this a car?" --json
  expect 0 '^\{"input":"What is this\?","log_probability":-[0-9.e-]+,"text":"[^"]+"\}' \
    bash -c "printf '/image pictures/cat.svg\nWhat is this?\n/save said.json\n' | '$tessera' chat --json"
  expect 0 'pictures/cat.svg' cat said.json
  expect 0 '^.+\.svg' bash -c "$("$tessera" caption --help |
    sed -n "s|^Example: tessera caption picture.png|'$tessera' caption pictures/cat.svg|p")"
  expect 2 'tokens with its picture' "$tessera" ask pictures/cat.svg -q "$(printf 'what %.0s' {1..200})"
  expect 2 'was shown none' bash -c "echo 'What is this?' | '$tessera' chat"
  expect 2 'no command' bash -c "echo '/nothing' | '$tessera' chat"
else
  expect 2 'cannot answer questions.*--model FOLDER' "$tessera" ask pictures/cat.svg "What is this?"
  expect 2 'cannot answer questions' "$tessera" caption pictures/cat.svg
  expect 2 'cannot generate text' "$tessera" generate "$TESSERA_MODEL" "Once upon a time"
  expect 2 'cannot predict text' "$tessera" perplexity "$TESSERA_MODEL" text.jpg
fi
# study: what is there of one, a part that it has not, and what is no study
learning=$source/recipes/backbones/fashion-mnist-study.json
expect 0 '^ViT +- +[0-9]+ +- +- +-' "$tessera" study "$learning" --table --only ViT --runs none
expect 0 '^\{"flops":[0-9.e+]+,"measures":\{\},"name":"RMT"' "$tessera" study "$learning" --table --json --only RMT --runs none
expect 2 'RTM.*RMT' "$tessera" study "$learning" --table --only RTM
echo '{"recipe": "none.json", "variants": []}' > study.json
expect 2 'compares nothing.*give "variants" or "backbones"' "$tessera" study study.json
# tune
echo '{"prompt": "2 + 2 =", "completion": " 4"}' > sums.jsonl
expect 2 '(cannot be tuned|a talker learns from)' "$tessera" tune "$TESSERA_MODEL" --data sums.jsonl --output tuned
expect 2 'loar' "$tessera" tune "$TESSERA_MODEL" --data sums.jsonl --output tuned --method loar
expect 2 'no place in a model' "$tessera" tune "$TESSERA_MODEL" --data sums.jsonl --output tuned --method prefix --merge m
expect 2 'holds no adapter_config.json' "$tessera" generate "$TESSERA_MODEL" "a" --adapter pictures

expect 2 'names no question' "$tessera" ask pictures/cat.svg
expect 2 'names no question' bash -c "ls pictures/*.svg | '$tessera' ask --stdin-list"
expect 2 'is empty' "$tessera" ask pictures/cat.svg -q " "
expect 2 'no language that captions' "$tessera" caption pictures/cat.svg --language tlh

# classify
expect 0 '^\{"input":"pictures/cat.svg","results":\[\{"label":"cat","score":0\.[0-9]+\},' \
  "$tessera" classify pictures/cat.svg --labels "$labels" --json
expect 0 '%  cat' "$tessera" classify 'pictures/c*.svg' --labels "$labels" --template "a {}" --template "{}"
expect 0 'cat' "$tessera" classify mislabelled.png --labels "$labels"
expect 0 '"input":"-"' bash -c "'$tessera' classify - --labels $labels --json < pictures/cat.svg"
expect 0 'pictures/car.svg' bash -c "ls pictures/*.svg | '$tessera' classify --stdin-list --labels $labels"
for bad in empty.png cut.svg text.jpg huge.png missing.png; do
  expect 2 "tessera: $bad: " "$tessera" classify $bad --labels "$labels"
  [ $bad = missing.png ] && continue
  expect 2 '%  cat' "$tessera" classify pictures/cat.svg $bad --labels "$labels"  # what came before it is answered
  expect 2 '%  cat' "$tessera" classify $bad pictures/cat.svg --labels "$labels" --skip-bad
done
expect 2 '100000 x 100000' "$tessera" classify huge.png --labels "$labels"
expect 2 'occurs twice' "$tessera" classify pictures/cat.svg --labels "cat,car,cat"
expect 2 'label is empty' "$tessera" classify pictures/cat.svg --labels "cat,,car"
expect 2 'give --labels' "$tessera" classify pictures/cat.svg
expect 2 'has no place' "$tessera" classify pictures/cat.svg --labels "$labels" --template "picture"
expect 2 'matches no file' "$tessera" classify 'nothing*' --labels "$labels"
expect 2 'tokens long' "$tessera" classify pictures/cat.svg --labels "$(printf 'zq%.0s ' {1..200})"
expect 0 'zq' "$tessera" classify pictures/cat.svg --truncate --labels "$(printf 'zq%.0s ' {1..200})"
expect 2 'does not exist' "$tessera" classify pictures/cat.svg --labels "$labels" --model nowhere
expect 2 'standard output: cannot be written' \
  bash -c "'$tessera' classify pictures/cat.svg --labels $labels > /dev/full"
cp -r "$TESSERA_MODEL" cut-model
truncate -s -1000 cut-model/model.safetensors
expect 2 'model.safetensors' "$tessera" classify pictures/cat.svg --labels "$labels" --model cut-model

# a limit of memory: what is none, what is too little, and what is enough; fast decoding is no other answer
for size in 1.5.5G -1G NaN 3Q 0; do
  expect 2 '^tessera: --max-memory: is no size' "$tessera" classify pictures/cat.svg --labels "$labels" --max-memory=$size
done
expect 2 'max-memory: needs at least [0-9]+ MB, and 20 MB are allowed' \
  "$tessera" classify pictures/cat.svg --labels "$labels" --max-memory 20M
"$tessera" classify pictures/*.svg --labels "$labels" > free
"$tessera" classify pictures/*.svg --labels "$labels" --max-memory 8G --fast-decode > limited
expect 0 '' cmp free limited

# search
expect 2 'no index was built' "$tessera" search cat
count=$(ls pictures/*.svg | wc -l)
expect 0 "$count pictures \($count encoded, 0 kept, 0 removed" "$tessera" search --index pictures
expect 0 "\(0 encoded, $count kept, 0 removed" "$tessera" search --index pictures
expect 0 '^\{"query":"cat","results":\[\{"path":".*pictures/cat.svg","score":' "$tessera" search cat --json
expect 0 '1.0000  pictures/cat.svg' "$tessera" search pictures/cat.svg --in pictures --top 1
expect 2 'missing.png' "$tessera" search missing.png --in pictures
expect 2 'tokens long' "$tessera" search "$(printf 'zq%.0s ' {1..200})" --in pictures  # longer than a file name may be
touch pictures/cat.svg
cp pictures/car.svg pictures/same.svg
sed 's/<\/svg>/<!-- changed --><\/svg>/' pictures/key.svg > k && mv k pictures/key.svg
rm pictures/sun.svg
echo torn > pictures/.tessera-index/index.safetensors.tmp.abcdef
expect 0 "$count pictures \(1 encoded, $((count - 1)) kept, 1 removed" "$tessera" search --index pictures
expect 1 '' test -e pictures/.tessera-index/index.safetensors.tmp.abcdef
cp empty.png pictures/
expect 2 'empty.png' "$tessera" search --index pictures
expect 2 '1 bad' "$tessera" search --index pictures --skip-bad
rm pictures/empty.png
cp -r "$TESSERA_MODEL" other
sed -i 's/"image_mean": *\[/&\n/; s/^ *0\.5,/ 0.4,/' other/preprocessor_config.json
expect 2 'another model.*--rebuild' "$tessera" search --index pictures --model other
expect 2 'another model.*--rebuild' "$tessera" search cat --in pictures --model other
expect 0 "$count encoded" "$tessera" search --index pictures --model other --rebuild
truncate -s -100 pictures/.tessera-index/index.safetensors
expect 2 'index.safetensors' "$tessera" search cat --in pictures
expect 0 'encoded' "$tessera" search --index pictures --rebuild --out elsewhere.safetensors
expect 0 'cat.svg' "$tessera" search cat --in elsewhere.safetensors
expect 2 'cannot be written' "$tessera" search --index pictures --out /proc/nowhere/x.safetensors

# embed
expect 0 '^\{"input":"pictures/cat.svg","embedding":\[-?[0-9.e-]+,' "$tessera" embed pictures/cat.svg
expect 0 '"input":"a cat"' "$tessera" embed --text "a cat" --text "a dog" --raw
expect 0 '' "$tessera" embed pictures --text "a cat" --out vectors.npy
expect 0 "^$((count + 1))" wc -l vectors.txt
expect 0 '' "$tessera" embed pictures --batch 3 --out vectors.jsonl
expect 2 'neither' "$tessera" embed pictures --out vectors.png
expect 0 '^\{"input":"a cat"' "$tessera" embed --text "a cat" --device cpu
expect 2 "'gpu' is no device.*cuda:N" "$tessera" embed --text "a cat" --device gpu
expect 2 'CUDA|no GPU' "$tessera" embed --text "a cat" --device cuda:100
expect 2 'cannot be written' "$tessera" embed pictures --out /proc/nowhere/x.npy
expect 2 'empty.png' "$tessera" embed pictures empty.png --out not-there.jsonl
expect 1 '' test -e not-there.jsonl

# prepare and inspect: what is there is not overwritten, unless it was prepared; a prepared folder says so
mkdir theirs && echo '{"precious": 1}' > theirs/config.json
expect 2 'theirs: exists and is no prepared model' \
  "$tessera" prepare "$TESSERA_MODEL" --precision int8 --output theirs
expect 0 'precious' cat theirs/config.json
expect 0 'written to +packed' "$tessera" prepare "$TESSERA_MODEL" --precision bfloat16 --output packed
expect 0 'written to +packed' "$tessera" prepare "$TESSERA_MODEL" --precision int8 --output packed
expect 2 'prepared already' "$tessera" prepare packed --precision int8 --output elsewhere
expect 0 'prepared in +int8' "$tessera" inspect packed
expect 0 '"prepared":\[.*"prepared_in":"int8"' "$tessera" inspect packed --prepared int8 --json
expect 2 'packed: was prepared in int8' "$tessera" inspect packed --prepared bfloat16
expect 2 'packed weights take no adapter.*--merge' "$tessera" generate packed "a" --adapter pictures

# bench backbones: what a killed run has left half-written is measured again
echo '[{"name": "A", "encoder": {"kind": "vit", "dim": 16, "depth": 1, "heads": 2, "ffn": 16}},
       {"name": "B", "encoder": {"kind": "vit", "dim": 16, "depth": 1, "heads": 2, "ffn": 16}}]' > backbones.json
bench=("$tessera" bench backbones backbones.json --sides 32 --side 32 --batch 1 --keep costs.jsonl)
expect 0 'B' "${bench[@]}"
head -1 costs.jsonl > first
truncate -s -20 costs.jsonl
expect 0 'its last line was not whole' "${bench[@]}"
expect 0 '^2$' grep -c '"time_exponent"' costs.jsonl
expect 0 '' cmp <(head -1 costs.jsonl) first
expect 0 '^.*B' "${bench[@]}"
echo '{"name": "A"}' > costs.jsonl
expect 2 'no measurement of a backbone' "${bench[@]}"

[ $failed -eq 0 ] && echo "all passed"
exit $failed
