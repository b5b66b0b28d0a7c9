#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap {

std::vector<std::string> split(std::string_view text, char separator); ///< "a,,b" gives three, "" gives none
std::vector<std::string> words(std::string_view line);                 ///< separated by any white space
std::string join(std::span<const std::string> parts, std::string_view separator);
std::string_view trim(std::string_view text); ///< without white space at both ends
std::string lastLine(std::string_view text);  ///< the last one that is not empty, trimmed; "" where there is none
std::string lower(std::string_view text);     ///< ASCII only
std::string replaceAll(std::string text, std::string_view from, std::string_view to);

/// The candidate that `word` was probably meant to be, or "" if none is near (edit distance at most a third of its
/// length).
std::string nearest(std::string_view word, std::span<const std::string> candidates);

bool isDns1123Label(std::string_view text);
bool isDns1123Subdomain(std::string_view text);
bool isWildcardDns1123Subdomain(std::string_view text); ///< "*.example.org"

/// A table with columns two spaces or more apart, as kubectl prints them; the first row is the heading.
std::string table(const std::vector<std::vector<std::string>>& rows);

} // namespace kubestrap
