/* The symbol table: the file that tools/lib/symbols.py wrote, empty in the first of the two links. */
    .section .symbols, "a"
    .balign 16
    .incbin SYMBOL_TABLE_FILE

    .section .note.GNU-stack, "", @progbits
