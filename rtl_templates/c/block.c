/* A vec holds one bit of LUTNET_LANES samples; LUTNET_WORDS, the 64-bit words of a vec, may be set on the command line. */
#ifndef LUTNET_WORDS
#if defined(__AVX512F__)
#define LUTNET_WORDS 8
#elif defined(__AVX2__)
#define LUTNET_WORDS 4
#elif defined(__GNUC__)
#define LUTNET_WORDS 2
#else
#define LUTNET_WORDS 1
#endif
#endif

#if LUTNET_WORDS == 1
typedef uint64_t vec;
#define LUTNET_ZERO ((vec)0)
#else
typedef uint64_t vec __attribute__((vector_size(8 * LUTNET_WORDS), may_alias));
#define LUTNET_ZERO ((vec){0})
#endif

#ifdef __GNUC__
#define LUTNET_NOINLINE __attribute__((noinline))
#else
#define LUTNET_NOINLINE
#endif

/* This file may be compiled as LUTNET_UNITS objects side by side, with LUTNET_UNIT set to 0, 1, ... on the command line. */
#ifdef LUTNET_UNIT
#define LUTNET_HAS(unit) ((unit) == LUTNET_UNIT)
#define LUTNET_PART LUTNET_NOINLINE
#else
#define LUTNET_HAS(unit) 1
#define LUTNET_PART static LUTNET_NOINLINE
#endif

#define LUTNET_LANES (64 * LUTNET_WORDS)
#define LUTNET_ALIGN 64

#if defined(__AVX512F__) && LUTNET_WORDS == 8
#define LUTNET_TERNARY(a, b, c, imm) ((vec)_mm512_ternarylogic_epi64((__m512i)(a), (__m512i)(b), (__m512i)(c), imm))
#endif

/* Transposes LUTNET_WORDS matrices of 64 x 64 bits side by side: bit j of row i changes places with bit i of row j. */
#define LUTNET_STEP(j, mask)                                   \
    for (base = 0; base < 64; base += 2 * (j)) {               \
        for (k = base; k < base + (j); k++) {                  \
            const vec swap = ((m[k] >> (j)) ^ m[k + (j)]) & (LUTNET_ZERO + (uint64_t)(mask)); \
            m[k] ^= swap << (j);                               \
            m[k + (j)] ^= swap;                                \
        }                                                      \
    }
static LUTNET_NOINLINE void transpose(vec *m)
{
    int base, k;
    LUTNET_STEP(32, 0x00000000FFFFFFFFu)
    LUTNET_STEP(16, 0x0000FFFF0000FFFFu)
    LUTNET_STEP(8, 0x00FF00FF00FF00FFu)
    LUTNET_STEP(4, 0x0F0F0F0F0F0F0F0Fu)
    LUTNET_STEP(2, 0x3333333333333333u)
    LUTNET_STEP(1, 0x5555555555555555u)
}
