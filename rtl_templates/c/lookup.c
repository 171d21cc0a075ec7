/* Reads a table at an address given as bit planes; the planes of the result take the address's place. */
#define LUTNET_LOOKUP(bits)                                                                    \
    static LUTNET_NOINLINE void lookup##bits(const uint##bits##_t *table, int n_address, vec *m) \
    {                                                                                          \
        int k, w;                                                                              \
        for (k = n_address; k < 64; k++) m[k] = LUTNET_ZERO;                                   \
        transpose(m);                                                                          \
        for (k = 0; k < 64; k++) {                                                             \
            uint64_t row[LUTNET_WORDS];                                                        \
            memcpy(row, &m[k], sizeof row);                                                    \
            for (w = 0; w < LUTNET_WORDS; w++) row[w] = table[row[w]];                         \
            memcpy(&m[k], row, sizeof row);                                                    \
        }                                                                                      \
        transpose(m);                                                                          \
    }
