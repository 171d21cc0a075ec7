
/* Raw features to codes: n rows of ${TOP}_N_INPUTS finite numbers, which are compared with the thresholds of the design's input
 * quantisers in double precision. */
int ${top}_eval_doubles(const double *in, size_t in_length, int64_t *out, size_t out_length, size_t n);
int ${top}_eval_floats(const float *in, size_t in_length, int64_t *out, size_t out_length, size_t n);
