// Rows of ${TOP}_N_INPUTS raw features to rows of ${TOP}_N_OUTPUTS codes.
inline std::vector<std::int64_t> eval_features(const std::vector<double> &in)
{
    if (in.size() % ${TOP}_N_INPUTS) check(${TOP}_BAD_LENGTH);
    const std::size_t n = in.size() / ${TOP}_N_INPUTS;
    std::vector<std::int64_t> out(n * ${TOP}_N_OUTPUTS);
    check(${top}_eval_doubles(in.data(), in.size(), out.data(), out.size(), n));
    return out;
}

