/* The screen's fonts: Spleen, by Frederic Cambus (Debian's fonts-spleen), as PC screen fonts with their tables. */
    .section .rdata, "dr"

    .macro font name, file
    .balign 8
    .globl \name
\name:
    .incbin "\file"
    .globl \name\()_end
\name\()_end:
    .endm

    font font_small, spleen-8x16.psfu
    font font_medium, spleen-12x24.psfu
    font font_large, spleen-16x32.psfu
