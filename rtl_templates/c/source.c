/* ${top}: ${summary}.
 *
 * Written by lutnet ${version}; see ${top}.h. One vec holds one bit of many samples; every statement below is one gate of
 * the netlist for all of them, n<i> is gate <i>.
 */
#include "${top}.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

