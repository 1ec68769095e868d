#!/bin/sh
# What busybox's shell does with its own programs. In the working directory lies data/, as for bash.sh.
find data -type f | sort | xargs md5sum
find data -name 'b' | sort | xargs cat | md5sum
awk 'BEGIN { for (i = 0; i < 20000; i++) words[i % 97] += i; for (i = 0; i < 97; i += 32) print i, words[i] }'
seq 5000 | sed -e '/7/!d' -e 's/7/seven/g' | sort -r | sed -n 1,3p
seq 1000 | tr '\n' ' ' | fold -w 60 | tail -n 2 | cut -d' ' -f1-5
echo
tar -c -f - data | tar -t -f - | sort | wc -l
seq 30000 | gzip | gzip -d | md5sum
mkdir data/copy && cp -r data/d1 data/d2 data/copy && ls -1 -R data/copy && mv data/copy/d1 data/copy/d3 && rm -r data/copy
seq 100 >data/list && dd if=data/list of=data/part bs=10 skip=2 count=3 2>/dev/null && cat data/part && rm data/list data/part
diff data/d1/a data/d2/a | sed -n 1,4p
for i in 1 2 3; do (sleep 0; exit "$i") & done
wait
wait "$!"
echo "the last: $?"
seq 100000 | head -n 2
echo $((6 * 7))
printf '%s|%5d|%x\n' text 42 255
vi -h 2>&1 | head -n 0
test -d data && [ ! -e none ] && echo "tested"
od -c -N 16 data/d1/a | head -n 2
exit 5
