/* Reads packed input vectors from standard input and writes packed output vectors to standard output. */
#include "${top}.h"

#include <stdio.h>

#define BATCH 4096u

int main(void)
{
    static unsigned char in[BATCH * ${TOP}_IN_BYTES], out[BATCH * ${TOP}_OUT_BYTES];
    size_t bytes;
    while ((bytes = fread(in, 1, sizeof in, stdin)) > 0) {
        const size_t n = bytes / ${TOP}_IN_BYTES;
        if (bytes % ${TOP}_IN_BYTES) {
            fprintf(stderr, "${top}: the input ends inside a vector; expected a multiple of %u bytes\n", ${TOP}_IN_BYTES);
            return 2;
        }
        if (${top}_eval(in, bytes, out, sizeof out, n) != ${TOP}_OK) {
            fprintf(stderr, "${top}: out of memory\n");
            return 1;
        }
        if (fwrite(out, ${TOP}_OUT_BYTES, n, stdout) != n) {
            perror("${top}: standard output");
            return 1;
        }
    }
    if (ferror(stdin)) {
        perror("${top}: standard input");
        return 1;
    }
    return 0;
}
