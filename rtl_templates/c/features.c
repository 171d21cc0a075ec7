
/* ---- raw features ------------------------------------------------------------------------------------------------ */

/* The code of a feature is the number of its thresholds that it reaches. */
#define N_STEPS ${n_steps}
#if N_STEPS
/* Threshold k of every feature side by side; a feature with fewer has infinite ones behind its own. */
static const double ${top}_thresholds[N_STEPS][${TOP}_N_INPUTS] = {
    ${columns}};
#else
/* The thresholds of one feature behind those of the feature before, 2 to the power of its width less one of each. */
static const double ${top}_thresholds[] = {
    ${thresholds}};
#endif

#define LUTNET_LOAD_FEATURES(name, type)                                                    \
    static int name(const void *in, size_t first, size_t count, uint64_t *rows)             \
    {                                                                                       \
        const type *from = (const type *)in + first * ${TOP}_N_INPUTS;                      \
        uint64_t codes[${TOP}_N_INPUTS], bad = 0;                                           \
        size_t i, p;                                                                        \
        for (i = 0; i < count; i++, from += ${TOP}_N_INPUTS) {                              \
            for (p = 0; p < ${TOP}_N_INPUTS; p++) bad |= (uint64_t)!(from[p] - from[p] >= 0); \
            codes_of_##type(from, codes);                                                   \
            pack_row(codes, i, rows);                                                       \
        }                                                                                   \
        return bad ? ${TOP}_BAD_VALUE : ${TOP}_OK;                                          \
    }

#if N_STEPS
#define LUTNET_CODES_OF(type)                                                               \
    static inline void codes_of_##type(const type *x, uint64_t *codes)                      \
    {                                                                                       \
        size_t k, p;                                                                        \
        for (p = 0; p < ${TOP}_N_INPUTS; p++) codes[p] = (double)x[p] >= ${top}_thresholds[0][p]; \
        for (k = 1; k < N_STEPS; k++)                                                       \
            for (p = 0; p < ${TOP}_N_INPUTS; p++) codes[p] += (double)x[p] >= ${top}_thresholds[k][p]; \
    }
#else
#define LUTNET_CODES_OF(type)                                                               \
    static inline void codes_of_##type(const type *x, uint64_t *codes)                      \
    {                                                                                       \
        const double *level = ${top}_thresholds;                                            \
        size_t p;                                                                           \
        for (p = 0; p < ${TOP}_N_INPUTS; p++) {                                             \
            const double value = (double)x[p];                                              \
            size_t half = (size_t)1 << (${top}_in_width[p] - 1), code = 0;                  \
            for (; half; half >>= 1) code += value >= level[code + half - 1] ? half : 0;    \
            codes[p] = code;                                                                \
            level += ((size_t)1 << ${top}_in_width[p]) - 1;                                 \
        }                                                                                   \
    }
#endif
LUTNET_CODES_OF(double)
LUTNET_CODES_OF(float)
LUTNET_LOAD_FEATURES(load_doubles, double)
LUTNET_LOAD_FEATURES(load_floats, float)

int ${top}_eval_doubles(const double *in, size_t in_length, int64_t *out, size_t out_length, size_t n)
{
    if (!lengths_fit(in, in_length, ${TOP}_N_INPUTS, out, out_length, ${TOP}_N_OUTPUTS, n)) return ${TOP}_BAD_LENGTH;
    return ${top}_run(load_doubles, in, store_codes, out, n);
}

int ${top}_eval_floats(const float *in, size_t in_length, int64_t *out, size_t out_length, size_t n)
{
    if (!lengths_fit(in, in_length, ${TOP}_N_INPUTS, out, out_length, ${TOP}_N_OUTPUTS, n)) return ${TOP}_BAD_LENGTH;
    return ${top}_run(load_floats, in, store_codes, out, n);
}
