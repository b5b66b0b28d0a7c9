#include "archive/zstd.hpp"

#include "support/error.hpp"

#include <fmt/format.h>
#include <zstd.h>

namespace kubestrap::archive {

namespace {

constexpr const char* hint = "copy it anew from where it was made";
constexpr int level = 3;
constexpr int windowLog = 24; // of what is read: 16 MB, which zstd's levels up to 19 keep within

std::size_t checked(std::size_t result, std::string_view what) {
  if (ZSTD_isError(result)) throw Error(fmt::format("{}: {}", what, ZSTD_getErrorName(result)), hint);
  return result;
}

template <auto release> struct Release {
  template <class Handle> void operator()(Handle* handle) const { release(handle); }
};

} // namespace

struct ZstdWriter::State {
  std::unique_ptr<ZSTD_CCtx, Release<ZSTD_freeCCtx>> context{ZSTD_createCCtx()};
  std::string out = std::string(ZSTD_CStreamOutSize(), '\0');
  Take take;

  void feed(std::string_view bytes, ZSTD_EndDirective how) {
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    for (bool more = true; more;) {
      ZSTD_outBuffer buffer{out.data(), out.size(), 0};
      const auto left = checked(ZSTD_compressStream2(context.get(), &buffer, &in, how), "cannot compress");
      take(std::string_view(out.data(), buffer.pos));
      more = how == ZSTD_e_end ? left != 0 : in.pos != in.size;
    }
  }
};

ZstdWriter::ZstdWriter(Take out) : state_(std::make_unique<State>()) {
  state_->take = std::move(out);
  checked(ZSTD_CCtx_setParameter(state_->context.get(), ZSTD_c_compressionLevel, level), "cannot compress");
  checked(ZSTD_CCtx_setParameter(state_->context.get(), ZSTD_c_checksumFlag, 1), "cannot compress");
}
ZstdWriter::~ZstdWriter() = default;
void ZstdWriter::write(std::string_view bytes) { state_->feed(bytes, ZSTD_e_continue); }
void ZstdWriter::finish() { state_->feed({}, ZSTD_e_end); }

struct ZstdReader::State {
  std::unique_ptr<ZSTD_DCtx, Release<ZSTD_freeDCtx>> context{ZSTD_createDCtx()};
  std::string out = std::string(ZSTD_DStreamOutSize(), '\0');
  Give give;
  std::string_view waiting; ///< what was given and is not read yet
  bool within = true;       ///< of a frame, or before the first
};

ZstdReader::ZstdReader(Give in) : state_(std::make_unique<State>()) {
  state_->give = std::move(in);
  checked(ZSTD_DCtx_setParameter(state_->context.get(), ZSTD_d_windowLogMax, windowLog), "cannot decompress");
}
ZstdReader::~ZstdReader() = default;

std::string_view ZstdReader::read() {
  auto& state = *state_;
  while (true) {
    if (state.waiting.empty()) state.waiting = state.give();
    if (state.waiting.empty()) {
      if (state.within) throw Error("it ends too early: it was cut off", hint);
      return {};
    }
    ZSTD_inBuffer in{state.waiting.data(), state.waiting.size(), 0};
    ZSTD_outBuffer out{state.out.data(), state.out.size(), 0};
    const auto left = checked(ZSTD_decompressStream(state.context.get(), &out, &in), "it is damaged");
    state.waiting.remove_prefix(in.pos);
    state.within = left != 0;
    if (out.pos > 0) return std::string_view(state.out).substr(0, out.pos);
  }
}

} // namespace kubestrap::archive
