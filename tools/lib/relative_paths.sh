#!/bin/bash
# relative_paths.sh FOLDER COMMAND...: runs a compiler's command with paths below FOLDER written from where it is run.
#
# CMake says all paths from the root. Where the source tree's own path has something odd, its build runs the compiler
# through this script: -ffile-prefix-map=OLD=NEW ends OLD at the first equals sign, and Ninja cannot read some characters in
# the list of files that a source includes, so that it would compile the source every time.
set -euo pipefail
folder=$1
shift
from_here=$(realpath --relative-to=. "$folder")
command=()
for word in "$@"; do
    command+=("${word//"$folder"/"$from_here"}")
done
exec "${command[@]}"
