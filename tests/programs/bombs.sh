#!/bin/sh
# What asks for memory without end is refused in the midst of it, and the shell that started it goes on.
awk 'BEGIN { s = "0123456789abcdef"; for (;;) s = s s }' >/dev/null 2>&1
echo "a string without end: $?"
dd if=/dev/zero of=/dev/null bs=200M count=1 2>/dev/null
echo "a buffer without end: $?"
dd if=/dev/zero of=data/full bs=1M 2>/dev/null
echo "a file without end: $?"
rm data/full
seq 1000 | sort -n | tail -n 1
