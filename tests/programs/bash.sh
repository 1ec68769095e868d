#!/bin/bash
# What bash does with processes, pipes and files. In the working directory lie bin/busybox and data/.
# shellcheck disable=SC2018,SC2019,SC2050,SC2002
PATH=$PWD/bin
for tool in find sort md5sum awk sed seq wc cat head tr sleep rm mkdir; do bin/busybox ln -s busybox "bin/$tool"; done

find data -type f | sort | while read -r name; do md5sum "$name"; done
find data -type f -exec cat {} + | sort | md5sum
where=$PWD
(cd data && echo "in ${PWD##*/}"; exit 3)
echo "subshell: $?"
[ "$PWD" = "$where" ] && echo "still where it was"
echo "sum $(seq 1000 | awk '{ sum += $1 } END { print sum }')"
sed -n 's/1\(.\)$/<\1>/p' data/d1/a | head -n 3
echo hello world | sed 's/world/there/' | tr a-z A-Z
seq 20000 | head -n 1
seq 3 | { read -r first; read -r second; echo "$first and $second"; }

declare -A colours=([sky]=blue [grass]=green)
for key in "${!colours[@]}"; do echo "$key is ${colours[$key]}"; done | sort
numbers=()
for ((i = 0; i < 50; i++)); do numbers+=("$((i * i))"); done
echo "${#numbers[@]} squares, the last ${numbers[-1]}"
cat <<END
six times seven is $((6 * 7))
END
cat <<<"here, a string"
fibonacci() { if (($1 < 2)); then echo "$1"; else echo $(($(fibonacci $(($1 - 1))) + $(fibonacci $(($1 - 2))))); fi; }
fibonacci 6

for i in 1 2 3 4 5 6 7 8; do (exit "$i") & pids[i]=$!; done
for i in 8 1 4; do wait "${pids[i]}"; echo "waited: $?"; done
wait
for i in 1 2 3 4 5; do (echo "child $i" >"data/child$i") & done
wait
cat data/child* && rm data/child?
coproc cat
echo "through a coprocess" >&"${COPROC[1]}"
read -r line <&"${COPROC[0]}"
echo "$line"
process=$COPROC_PID # which bash forgets when it has ended
eval "exec ${COPROC[1]}>&-"
wait "$process"
echo "coprocess: $?"

mkdir data/deep && seq 100000 >data/deep/numbers && md5sum <data/deep/numbers && wc -l <data/deep/numbers
exec 5<data/deep/numbers
read -r -u 5 line && read -r -u 5 line && echo "line $line by descriptor 5"
rm -r data/deep
[[ abc =~ a(.)c ]] && echo "matched ${BASH_REMATCH[1]}"
cat none 2>&1 | sed 's/.*: //'
nothing 2>/dev/null || echo "not found: $?"
set -o pipefail
false | true || echo "a pipe's status: $?"
trap 'echo "at the end"' EXIT
exit 4
