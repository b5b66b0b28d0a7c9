#include "archive/image.hpp"

#include "archive/reader.hpp"
#include "archive/tar.hpp"
#include "host/file_writer.hpp"
#include "support/digest.hpp"
#include "support/encoding.hpp"
#include "support/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <optional>

namespace kubestrap::archive {

namespace {

constexpr std::string_view digestPrefix = "sha256:";
constexpr std::size_t textLimit = std::size_t{1} << 20, headSize = 4;
constexpr std::string_view manifestType = "application/vnd.oci.image.manifest.v1+json", indexType = "application/vnd.oci.image.index.v1+json",
                           layerType = "application/vnd.oci.image.layer.v1.tar", configurationType = "application/vnd.oci.image.config.v1+json";
constexpr const char* nameAnnotation = "io.containerd.image.name";
constexpr const char* tagAnnotation = "org.opencontainers.image.ref.name";

std::string hexOf(std::string_view digest) { return std::string(digest.substr(digest.find(':') + 1)); }

/// The path of an entry as others name it: "./blobs/a" is "blobs/a".
std::string plainPath(const fs::path& path) {
  auto plain = path.lexically_normal().string();
  return plain.starts_with("./") ? plain.substr(2) : plain;
}

} // namespace

ImageDocument described(std::string_view text, std::string_view source) {
  const auto value = parseJson(text, source);
  ImageDocument document{.configuration = stringAt(value, "config.digest"), .layers = {}, .architecture = stringAt(value, "architecture"), .licence = {}};
  if (const auto* layers = find(value, "layers"); layers && layers->is_array())
    for (const auto& layer : *layers) document.layers.push_back(stringAt(layer, "digest"));
  if (const auto* labels = find(value, "config.Labels"); labels && labels->is_object()) {
    const auto found = labels->find("org.opencontainers.image.licenses");
    if (found != labels->end() && found->is_string()) document.licence = found->get<std::string>();
  }
  if (document.configuration.empty() && document.architecture.empty()) throw Error(fmt::format("{} is neither manifest nor configuration of an image", source));
  return document;
}

fs::path Blobs::file(std::string_view digest) const { return folder_ / hexOf(digest); }

template <class Pieces> Blobs::Added Blobs::addPieces(Pieces next) try {
  const auto beside = folder_ / "incoming";
  Added added;
  Sha256 sum;
  {
    // Not synced: it is gone when the bundle is there.
    std::ofstream file(beside, std::ios::binary | std::ios::trunc);
    file.exceptions(std::ios::badbit | std::ios::failbit);
    for (std::string_view piece = next(); !piece.empty(); piece = next()) {
      if (added.head.size() < headSize) added.head += piece.substr(0, headSize - added.head.size());
      if (added.head.starts_with('{') || added.head.starts_with('[')) {
        if (added.text.size() <= textLimit) added.text += piece;
      }
      sum.add(piece);
      added.size += piece.size();
      file.write(piece.data(), static_cast<std::streamsize>(piece.size()));
    }
    file.close();
  }
  if (added.size > textLimit) added.text.clear();
  added.digest = fmt::format("{}{}", digestPrefix, hex(sum.digest()));
  fs::rename(beside, file(added.digest));
  sizes_[added.digest] = added.size;
  return added;
} catch (const std::ios::failure&) {
  throw Error(fmt::format("cannot write into {}", folder_.string()), "is its file system full?");
}

std::string Blobs::add(std::string_view content) {
  return addPieces([&] { return std::exchange(content, {}); }).digest;
}

namespace {

/// One archive, as it was read: what lies at each of its paths.
class Contents {
public:
  Contents(const fs::path& archive, Blobs& blobs) : archive_(archive) {
    TarReader tar(bytesOf(archive), TarReader::Packing::any);
    std::map<std::string, std::string> links;
    while (const auto entry = tar.next()) {
      const auto path = plainPath(entry->path);
      if (entry->type == TarEntry::Type::file) files_[path] = blobs.addPieces([&] { return tar.read(); });
      // `docker save` names a layer twice by a link.
      else if (entry->type == TarEntry::Type::link) links[path] = plainPath(entry->hard ? fs::path(entry->target) : fs::path(path).parent_path() / entry->target);
    }
    for (const auto& [path, target] : links)
      if (const auto found = files_.find(target); found != files_.end()) files_[path] = found->second;
  }

  const Blobs::Added* find(const std::string& path) const {
    const auto found = files_.find(path);
    return found == files_.end() ? nullptr : &found->second;
  }
  /// The JSON at a path.
  Value document(const std::string& path) const {
    const auto* found = find(path);
    if (!found) throw Error(fmt::format("{} has no {}", archive_.string(), path), "it is not whole: export it anew");
    return parseJson(found->text, fmt::format("{} of {}", path, archive_.string()));
  }
  const Blobs::Added& blob(const std::string& digest) const {
    const auto* found = find("blobs/sha256/" + hexOf(digest));
    if (!found) throw Error(fmt::format("{} lacks {}", archive_.string(), digest), "it was exported for some architectures only, or is not whole: export it anew");
    if (found->digest != digest) throw Error(fmt::format("{}: what is called {} has the digest {}", archive_.string(), digest, found->digest), "export it anew");
    return *found;
  }
  const fs::path& archive() const { return archive_; }

private:
  fs::path archive_;
  std::map<std::string, Blobs::Added> files_;
};

/// An image of a manifest that is there, whole.
Image imageOf(const std::string& name, const std::string& manifest, const Contents& contents, std::string_view architecture) {
  const auto document = described(contents.blob(manifest).text, manifest);
  const auto configuration = described(contents.blob(document.configuration).text, document.configuration);
  if (configuration.architecture != architecture)
    throw Error(fmt::format("{}: the image {} is for {}, not for {}", contents.archive().string(), name, configuration.architecture, architecture),
                fmt::format("export it with --platform linux/{}, or make the bundle with --architecture {}", architecture, configuration.architecture));
  for (const auto& layer : document.layers) contents.blob(layer);
  return {.name = name, .version = tagOf(name), .licence = configuration.licence, .manifest = manifest, .configuration = document.configuration, .layers = document.layers};
}

/// The name that an index gives to one of its images; empty: none.
std::string nameIn(const Value& descriptor) {
  const auto* annotations = find(descriptor, "annotations");
  if (!annotations || !annotations->is_object()) return {};
  const auto text = [&](const char* key) {
    const auto found = annotations->find(key);
    return found == annotations->end() || !found->is_string() ? std::string() : found->get<std::string>();
  };
  if (auto name = text(nameAnnotation); !name.empty()) return name;
  auto name = text(tagAnnotation);
  return name.find('/') == std::string::npos && name.find(':') == std::string::npos ? std::string() : name; // a tag alone is no name
}

bool isFor(const Value& descriptor, std::string_view architecture) {
  const auto* platform = find(descriptor, "platform");
  return !platform || (stringAt(*platform, "architecture") == architecture && stringAt(*platform, "os", "linux") == "linux");
}

void collect(const Value& index, const std::string& name, const Contents& contents, std::string_view architecture, std::vector<Image>& images, int depth = 0) {
  const auto* manifests = find(index, "manifests");
  if (!manifests || !manifests->is_array() || depth > 3) throw Error(fmt::format("{} has no index of images", contents.archive().string()));
  for (const auto& each : *manifests) {
    const auto digest = stringAt(each, "digest"), type = stringAt(each, "mediaType");
    const auto own = depth == 0 ? nameIn(each) : name;
    if (type == indexType || type == "application/vnd.docker.distribution.manifest.list.v2+json") {
      collect(parseJson(contents.blob(digest).text, digest), own, contents, architecture, images, depth + 1);
    } else if (depth == 0 || isFor(each, architecture)) {
      if (own.empty())
        throw Error(fmt::format("{}: the image {} has no name", contents.archive().string(), digest), "export it by its name: ctr images export FILE NAME, docker save NAME");
      images.push_back(imageOf(fullName(own), digest, contents, architecture));
    }
  }
}

/// What `docker save` wrote before it wrote OCI layouts: its manifest has no digests, so one is made that has.
std::vector<Image> imagesOfDocker(const Contents& contents, std::string_view architecture, Blobs& blobs) {
  std::vector<Image> images;
  const auto descriptor = [](std::string_view type, const Blobs::Added& blob) { return Value{{"mediaType", type}, {"digest", blob.digest}, {"size", blob.size}}; };
  const auto at = [&](const std::string& path) -> const Blobs::Added& {
    if (const auto* found = contents.find(plainPath(path))) return *found;
    throw Error(fmt::format("{} lacks {}", contents.archive().string(), path), "it is not whole: export it anew");
  };
  for (const auto& each : contents.document("manifest.json")) {
    if (!each.is_object()) throw Error(fmt::format("manifest.json of {} is no list of images", contents.archive().string()));
    const auto& configuration = at(stringAt(each, "Config"));
    Value manifest{{"schemaVersion", 2}, {"mediaType", manifestType}, {"config", descriptor(configurationType, configuration)}, {"layers", Value::array()}};
    Image image{.version = {}, .licence = {}, .manifest = {}, .configuration = configuration.digest, .layers = {}};
    const auto said = described(configuration.text, configuration.digest);
    for (const auto& path : each.value("Layers", Value::array())) {
      const auto& layer = at(path.is_string() ? path.get<std::string>() : "");
      const bool gzip = layer.head.starts_with("\x1f\x8b");
      manifest["layers"].push_back(descriptor(gzip ? fmt::format("{}+gzip", layerType) : std::string(layerType), layer));
      image.layers.push_back(layer.digest);
    }
    image.manifest = blobs.add(manifest.dump());
    for (const auto& tag : each.value("RepoTags", Value::array())) {
      image.name = fullName(tag.is_string() ? tag.get<std::string>() : "");
      if (said.architecture != architecture)
        throw Error(fmt::format("{}: the image {} is for {}, not for {}", contents.archive().string(), image.name, said.architecture, architecture), {});
      image.version = tagOf(image.name);
      image.licence = said.licence;
      images.push_back(image);
    }
  }
  return images;
}

} // namespace

std::vector<Image> readImages(const fs::path& archive, std::string_view architecture, Blobs& blobs) {
  return while_(fmt::format("reading the images of {}", archive.string()), [&] {
    const Contents contents(archive, blobs);
    std::vector<Image> images;
    if (contents.find("index.json")) collect(contents.document("index.json"), {}, contents, architecture, images);
    else if (contents.find("manifest.json")) images = imagesOfDocker(contents, architecture, blobs);
    else throw Error("there is neither index.json nor manifest.json in it", "it has to be an OCI archive, or what docker save writes");
    if (images.empty()) throw Error(fmt::format("there is no image for {} in it", architecture), fmt::format("export it with --platform linux/{}", architecture));
    return images;
  });
}

std::string fullName(std::string name) {
  if (name.empty()) throw Error("an image has no name");
  const auto first = name.substr(0, name.find('/'));
  const bool isHost = name.find('/') != std::string::npos && (first.find_first_of(".:") != std::string::npos || first == "localhost");
  if (!isHost) name = "docker.io/" + std::string(name.find('/') == std::string::npos ? "library/" : "") + name;
  const auto last = name.rfind('/');
  if (name.find('@') == std::string::npos && name.find(':', last) == std::string::npos) name += ":latest";
  return name;
}

std::string tagOf(std::string_view name) {
  name = name.substr(0, name.find('@'));
  const auto colon = name.find(':', name.rfind('/') == std::string_view::npos ? 0 : name.rfind('/'));
  return colon == std::string_view::npos ? "" : std::string(name.substr(colon + 1));
}

void writeImage(const Image& image, const Lock& lock, const fs::path& blobs, const fs::path& target) {
  host::FileWriter file(target);
  TarWriter tar([&](std::string_view bytes) { file.write(bytes); });
  Value annotations{{nameAnnotation, image.name}};
  if (const auto tag = tagOf(image.name); !tag.empty()) annotations[tagAnnotation] = tag;
  const auto* manifest = lock.find(blobPath(image.manifest));
  std::string text;
  const auto pieces = bytesOf(blobs / hexOf(image.manifest));
  for (auto piece = pieces(); !piece.empty(); piece = pieces()) text += piece;
  const auto type = stringAt(parseJson(text, image.manifest), "mediaType", std::string(manifestType)); // Docker's have one of their own
  const Value index{{"schemaVersion", 2},
                    {"mediaType", indexType},
                    {"manifests", Value::array({Value{{"mediaType", type}, {"digest", image.manifest}, {"size", manifest->size}, {"annotations", annotations},
                                                      {"platform", {{"architecture", lock.architecture}, {"os", "linux"}}}}})}};
  tar.add("oci-layout", R"({"imageLayoutVersion":"1.0.0"})", 0644);
  tar.add("index.json", index.dump(), 0644);
  for (const auto& digest : image.blobs()) {
    tar.begin("blobs/sha256/" + hexOf(digest), lock.find(blobPath(digest))->size, 0644);
    const auto next = bytesOf(blobs / hexOf(digest));
    for (auto piece = next(); !piece.empty(); piece = next()) tar.write(piece);
  }
  tar.finish();
  file.commit();
}

} // namespace kubestrap::archive
