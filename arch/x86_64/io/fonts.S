/* The console's fonts: Spleen, by Frederic Cambus (Debian's fonts-spleen), as PC screen fonts with their tables. */
    .section .rodata.fonts, "a"

    .macro font name, file
    .balign 8
    .global \name
    .hidden \name
\name:
    .incbin "\file"
    .global \name\()_end
    .hidden \name\()_end
\name\()_end:
    .endm

    font ashlar_font_small, spleen-8x16.psfu
    font ashlar_font_medium, spleen-12x24.psfu
    font ashlar_font_large, spleen-16x32.psfu
