// What of fmt is no template, and what its headers leave to a library: compiled here once. The distribution has that library as a
// shared object only; header-only, each file of ours would compile it again, for a fifth to a third of its time.
#include <fmt/format-inl.h>

namespace fmt {
inline namespace v9 {

template detail::locale_ref::locale_ref(const std::locale&);
template std::locale detail::locale_ref::get<std::locale>() const;

namespace detail {

template dragonbox::decimal_fp<float> dragonbox::to_decimal(float) noexcept;
template dragonbox::decimal_fp<double> dragonbox::to_decimal(double) noexcept;
template thousands_sep_result<char> thousands_sep_impl(locale_ref);
template char decimal_point_impl(locale_ref);
template void buffer<char>::append(const char*, const char*);
template void vformat_to(buffer<char>&, string_view, basic_format_args<FMT_BUFFER_CONTEXT(char)>, locale_ref);

} // namespace detail
} // namespace v9
} // namespace fmt
