#!/usr/bin/env bash
# Builds one function twice, from the last commit in two folders, and compares the zips: `infra/supply/reproduce.sh ingest`.
# Two builds of the release profile took 18 minutes on two busy cores. TARGET=<triple> builds for another platform than this one.
set -euo pipefail
cd "$(dirname "$0")/../.."
function=${1:-ingest}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for folder in "$work/one" "$work/another-folder/two"; do
  mkdir -p "$folder"
  git archive HEAD | tar -x -C "$folder"
  (
    cd "$folder"
    # Paths of this machine must not reach the binary: panics name their source files.
    export RUSTFLAGS="--remap-path-prefix=$folder=/triggers --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
    CARGO_TARGET_DIR="$folder/target" cargo build --quiet --locked --release -p "$function" ${TARGET:+--target "$TARGET"}
    # One entry with a fixed time and mode; more would be sorted by their names.
    python3 - "target/${TARGET:+$TARGET/}release/$function" "$folder.zip" << 'PYTHON'
import pathlib, sys, zipfile
entry = zipfile.ZipInfo("bootstrap", (1980, 1, 1, 0, 0, 0))
entry.external_attr, entry.compress_type = 0o755 << 16, zipfile.ZIP_DEFLATED
with zipfile.ZipFile(sys.argv[2], "w") as archive:
    archive.writestr(entry, pathlib.Path(sys.argv[1]).read_bytes())
PYTHON
  )
done

sha256sum "$work/one.zip" "$work/another-folder/two.zip" | sed "s#$work/##"
if cmp -s "$work/one.zip" "$work/another-folder/two.zip"; then
  echo "$function: two builds in two folders gave one zip"
else
  echo "$function: the zips differ" >&2
  exit 1
fi
