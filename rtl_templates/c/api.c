/* ---- samples to bit planes and back ------------------------------------------------------------------------------ */

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

#define IN_WORDS ${in_words}
#define OUT_WORDS ${out_words}
#define N_SLOTS ${n_slots}
#define N_VECS (64 * IN_WORDS + 64 * OUT_WORDS + N_SLOTS)

/* Where a port lies in the packed vector: its lowest bit in its word, and its width. Ports first[b] to first[b + 1] - 1 begin in word b. */
static const uint64_t ${top}_in_low[${TOP}_N_INPUTS] = {
    ${in_low}};
static const uint64_t ${top}_in_width[${TOP}_N_INPUTS] = {
    ${in_width}};
static const uint32_t ${top}_in_first[IN_WORDS + 1] = {
    ${in_first}};

typedef struct {
    uint32_t word;
    uint8_t low, width;
} lutnet_port;

static const lutnet_port ${top}_out_ports[${TOP}_N_OUTPUTS] = {
    ${out_ports}};

/* Word b of the packed vector of sample i of a block. */
#define LUTNET_PLACE(i, b) ((64 * (size_t)(b) + (i) % 64) * LUTNET_WORDS + (i) / 64)

/* Reads samples first to first + count - 1 into rows[LUTNET_PLACE(i, b)]. */
typedef int (*lutnet_load)(const void *in, size_t first, size_t count, uint64_t *rows);
typedef void (*lutnet_store)(void *out, size_t first, size_t count, const uint64_t *rows);

/* Eight bytes or fewer, the first one lowest; the length is known wherever this is called. */
static inline uint64_t word_of(const unsigned char *bytes, size_t n_bytes)
{
    uint64_t word = 0;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(&word, bytes, n_bytes);
#else
    size_t k;
    for (k = 0; k < n_bytes; k++) word |= (uint64_t)bytes[k] << (8 * k);
#endif
    return word;
}

static int load_packed(const void *in, size_t first, size_t count, uint64_t *rows)
{
    const unsigned char *bytes = (const unsigned char *)in + first * ${TOP}_IN_BYTES;
    size_t i, b;
    for (i = 0; i < count; i++, bytes += ${TOP}_IN_BYTES) {
        for (b = 0; b + 1 < IN_WORDS; b++) rows[LUTNET_PLACE(i, b)] = word_of(bytes + 8 * b, 8);
        rows[LUTNET_PLACE(i, IN_WORDS - 1)] = word_of(bytes + 8 * (IN_WORDS - 1), ${TOP}_IN_BYTES - 8 * (IN_WORDS - 1));
    }
    return ${TOP}_OK;
}

static void store_packed(void *out, size_t first, size_t count, const uint64_t *rows)
{
    size_t i, k;
    for (i = 0; i < count; i++) {
        unsigned char *bytes = (unsigned char *)out + (first + i) * ${TOP}_OUT_BYTES;
        for (k = 0; k < ${TOP}_OUT_BYTES; k++) bytes[k] = (unsigned char)(rows[LUTNET_PLACE(i, k / 8)] >> (8 * (k % 8)));
    }
}

/* Puts the codes of sample i, each within its width, side by side. */
static inline void pack_row(const uint64_t *codes, size_t i, uint64_t *rows)
{
    size_t b, p = 0;
    for (b = 0; b < IN_WORDS; b++) {
        const size_t end = ${top}_in_first[b + 1];
        uint64_t word = 0;
        if (p && ${top}_in_low[p - 1] + ${top}_in_width[p - 1] > 64) word = codes[p - 1] >> (64 - ${top}_in_low[p - 1]);
        for (; p < end; p++) word |= codes[p] << ${top}_in_low[p];
        rows[LUTNET_PLACE(i, b)] = word;
    }
}

#define LUTNET_LOAD_CODES(name, type)                                                       \
    static int name(const void *in, size_t first, size_t count, uint64_t *rows)             \
    {                                                                                       \
        const type *from = (const type *)in + first * ${TOP}_N_INPUTS;                      \
        uint64_t codes[${TOP}_N_INPUTS], bad = 0;                                           \
        size_t i, p;                                                                        \
        for (i = 0; i < count; i++, from += ${TOP}_N_INPUTS) {                              \
            for (p = 0; p < ${TOP}_N_INPUTS; p++) {                                         \
                codes[p] = (uint64_t)from[p];                                               \
                bad |= codes[p] >> ${top}_in_width[p];                                      \
            }                                                                               \
            pack_row(codes, i, rows);                                                       \
        }                                                                                   \
        return bad ? ${TOP}_BAD_CODE : ${TOP}_OK;                                           \
    }
LUTNET_LOAD_CODES(load_codes, int64_t)
LUTNET_LOAD_CODES(load_bytes, uint8_t)

static void store_codes(void *out, size_t first, size_t count, const uint64_t *rows)
{
    size_t i, p;
    for (i = 0; i < count; i++) {
        int64_t *codes = (int64_t *)out + (first + i) * ${TOP}_N_OUTPUTS;
        for (p = 0; p < ${TOP}_N_OUTPUTS; p++) {
            const lutnet_port port = ${top}_out_ports[p];
            uint64_t code = rows[LUTNET_PLACE(i, port.word)] >> port.low;
            if (port.low + port.width > 64) code |= rows[LUTNET_PLACE(i, port.word + 1)] << (64 - port.low);
            codes[p] = (int64_t)(code & (((uint64_t)1 << port.width) - 1));
        }
    }
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

static void ${top}_block(const vec *in, vec *out, vec *slot)
{
${calls}
}

static int ${top}_run(lutnet_load load, const void *in, lutnet_store store, void *out, size_t n)
{
    unsigned char *memory = (unsigned char *)malloc(N_VECS * sizeof(vec) + LUTNET_ALIGN);
    vec *planes, *results;
    size_t first, b;
    int status = ${TOP}_OK;
    if (!memory) return ${TOP}_NO_MEMORY;
    planes = (vec *)(void *)(memory + (LUTNET_ALIGN - (uintptr_t)memory % LUTNET_ALIGN));
    results = planes + 64 * IN_WORDS;
    memset(planes, 0, N_VECS * sizeof(vec));
    for (first = 0; first < n && status == ${TOP}_OK; first += LUTNET_LANES) {
        const size_t count = n - first < LUTNET_LANES ? n - first : LUTNET_LANES;
        status = load(in, first, count, (uint64_t *)planes);
        if (status != ${TOP}_OK) break;
        for (b = 0; b < IN_WORDS; b++) transpose(planes + 64 * b);
        memset(results, 0, 64 * OUT_WORDS * sizeof(vec));
        ${top}_block(planes, results, results + 64 * OUT_WORDS);
        for (b = 0; b < OUT_WORDS; b++) transpose(results + 64 * b);
        store(out, first, count, (const uint64_t *)results);
    }
    free(memory);
    return status;
}

/* The lengths of both arrays hold for n samples, without overflow. */
static int lengths_fit(const void *in, size_t in_length, size_t per_in, const void *out, size_t out_length, size_t per_out, size_t n)
{
    return n == 0 || (in && out && in_length / per_in >= n && out_length / per_out >= n);
}

int ${top}_eval(const unsigned char *in, size_t in_bytes, unsigned char *out, size_t out_bytes, size_t n)
{
    if (!lengths_fit(in, in_bytes, ${TOP}_IN_BYTES, out, out_bytes, ${TOP}_OUT_BYTES, n)) return ${TOP}_BAD_LENGTH;
    return ${top}_run(load_packed, in, store_packed, out, n);
}

int ${top}_eval_codes(const int64_t *in, size_t in_length, int64_t *out, size_t out_length, size_t n)
{
    if (!lengths_fit(in, in_length, ${TOP}_N_INPUTS, out, out_length, ${TOP}_N_OUTPUTS, n)) return ${TOP}_BAD_LENGTH;
    return ${top}_run(load_codes, in, store_codes, out, n);
}

int ${top}_eval_bytes(const uint8_t *in, size_t in_length, int64_t *out, size_t out_length, size_t n)
{
    if (!lengths_fit(in, in_length, ${TOP}_N_INPUTS, out, out_length, ${TOP}_N_OUTPUTS, n)) return ${TOP}_BAD_LENGTH;
    return ${top}_run(load_bytes, in, store_codes, out, n);
}
