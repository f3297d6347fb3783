/* The files of web/ and of the chart library, as they are, between two symbols each. */
#ifdef __CET__
#include <cet.h>
#endif
    .section .rodata
    .macro embed name, path
    .global farol_\name\()_begin, farol_\name\()_end
farol_\name\()_begin:
    .incbin "\path"
farol_\name\()_end:
    .endm

    embed index, "web/index.html"
    embed style, "web/style.css"
    embed chart_style, "third_party/uplot/uPlot.min.css"
    embed chart, "third_party/uplot/uPlot.iife.min.js"
    embed format, "web/format.js"
    embed table, "web/table.js"
    embed details, "web/details.js"
    embed lists, "web/lists.js"
    embed kinds, "web/kinds.js"
    embed app, "web/app.js"

    .section .note.GNU-stack, "", @progbits
