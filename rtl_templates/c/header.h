/* ${top}: ${summary}.
 *
 * Written by lutnet ${version}; the same function as the netlist, bit for bit. C99 and nothing but its standard library.
 * Packed vectors: input 0 is in the least significant bits, input 1 in the bits above it, and so on; outputs likewise. A packed
 * vector is an array of bytes, bit 0 of byte 0 first; the bits of the last byte that belong to no port are ignored in inputs and 0 in
 * outputs. All functions are free of state: any number of threads may call them.
 */
#ifndef ${TOP}_H
#define ${TOP}_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ${TOP}_N_INPUTS ${n_inputs}u /* input codes of a sample */
#define ${TOP}_N_OUTPUTS ${n_outputs}u /* output codes of a sample */
#define ${TOP}_IN_BITS ${in_bits}u /* bits of a packed input */
#define ${TOP}_OUT_BITS ${out_bits}u /* bits of a packed output */
#define ${TOP}_IN_BYTES ${in_bytes}u /* bytes of a packed input */
#define ${TOP}_OUT_BYTES ${out_bytes}u /* bytes of a packed output */

/* What the functions return. */
#define ${TOP}_OK 0
#define ${TOP}_BAD_LENGTH 1 /* an array is too short for n samples, or missing; nothing was read or written */
#define ${TOP}_BAD_CODE 2 /* a code is outside the width of its input; some outputs may have been written */
#define ${TOP}_NO_MEMORY 3
#define ${TOP}_BAD_VALUE 4 /* a feature is infinite or no number; some outputs may have been written */

/* Packed inputs to packed outputs, n samples of ${TOP}_IN_BYTES and ${TOP}_OUT_BYTES bytes; in_bytes and out_bytes are the lengths
 * of the arrays. */
int ${top}_eval(const unsigned char *in, size_t in_bytes, unsigned char *out, size_t out_bytes, size_t n);

/* Codes to codes: n rows of ${TOP}_N_INPUTS and ${TOP}_N_OUTPUTS; in_length and out_length are the numbers of elements. */
int ${top}_eval_codes(const int64_t *in, size_t in_length, int64_t *out, size_t out_length, size_t n);

/* The same with one byte an input code, for inputs of up to 8 bits. */
int ${top}_eval_bytes(const uint8_t *in, size_t in_length, int64_t *out, size_t out_length, size_t n);
${features}
#ifdef __cplusplus
}
#endif

#endif
