// C++ over ${top}.h: vectors in and out, errors as exceptions.
#ifndef ${TOP}_HPP
#define ${TOP}_HPP

#include "${top}.h"

#include <cstdint>
#include <new>
#include <stdexcept>
#include <vector>

namespace ${top} {

inline void check(int status)
{
    if (status == ${TOP}_BAD_LENGTH) throw std::length_error("${top}: the array holds no whole number of samples");
    if (status == ${TOP}_BAD_CODE) throw std::out_of_range("${top}: a code is outside the width of its input");
    if (status == ${TOP}_BAD_VALUE) throw std::domain_error("${top}: a feature is infinite or no number");
    if (status == ${TOP}_NO_MEMORY) throw std::bad_alloc();
}

// Rows of ${TOP}_N_INPUTS codes to rows of ${TOP}_N_OUTPUTS codes.
inline std::vector<std::int64_t> eval_codes(const std::vector<std::int64_t> &in)
{
    if (in.size() % ${TOP}_N_INPUTS) check(${TOP}_BAD_LENGTH);
    const std::size_t n = in.size() / ${TOP}_N_INPUTS;
    std::vector<std::int64_t> out(n * ${TOP}_N_OUTPUTS);
    check(${top}_eval_codes(in.data(), in.size(), out.data(), out.size(), n));
    return out;
}

${features}// Packed vectors of ${TOP}_IN_BYTES bytes to packed vectors of ${TOP}_OUT_BYTES bytes.
inline std::vector<unsigned char> eval(const std::vector<unsigned char> &in)
{
    if (in.size() % ${TOP}_IN_BYTES) check(${TOP}_BAD_LENGTH);
    const std::size_t n = in.size() / ${TOP}_IN_BYTES;
    std::vector<unsigned char> out(n * ${TOP}_OUT_BYTES);
    check(${top}_eval(in.data(), in.size(), out.data(), out.size(), n));
    return out;
}

}  // namespace ${top}

#endif
