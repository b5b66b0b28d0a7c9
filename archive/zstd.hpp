#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace kubestrap::archive {

/// Where bytes go.
using Take = std::function<void(std::string_view bytes)>;
/// Where bytes come from, piece by piece; empty: there are no more.
using Give = std::function<std::string_view()>;

/// Compresses what comes, with a sum behind it. The same bytes give the same bytes; memory is bounded, whatever comes.
class ZstdWriter {
public:
  explicit ZstdWriter(Take out);
  ~ZstdWriter();
  void write(std::string_view bytes);
  void finish();

private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The other way. A stream that wants more memory than ours does is refused.
class ZstdReader {
public:
  explicit ZstdReader(Give in);
  ~ZstdReader();
  /// The next piece, valid until the next call; empty at the end. Throws Error for what is damaged, or ends too early.
  std::string_view read();

private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace kubestrap::archive
