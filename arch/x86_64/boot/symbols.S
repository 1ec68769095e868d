/* The symbol tables: the files that tools/lib/symbols.py wrote; neither is in the first of the two links. */
    .section .symbols, "a"
    .balign 16
    .incbin SYMBOL_TABLE_FILE

    .section .tests.symbols, "a"
    .balign 16
    .incbin TESTS_SYMBOL_TABLE_FILE

    .section .note.GNU-stack, "", @progbits
