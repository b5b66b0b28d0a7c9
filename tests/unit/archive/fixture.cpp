#include "tests/unit/archive/fixture.hpp"

#include "archive/zstd.hpp"
#include "support/encoding.hpp"
#include "support/tar.hpp"

#include <fmt/format.h>

#include <fstream>
#include <iterator>

namespace kubestrap::archive {

std::string program(std::string_view architecture, std::string_view text) {
  std::string head("\x7f" "ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\0\0", 20);
  head[18] = static_cast<char>(architecture == "arm64" ? 183 : 62);
  return head + std::string(text);
}

namespace {

std::string packed(const std::vector<std::pair<std::string, std::string>>& files) {
  std::string all;
  for (const auto& [name, content] : files) all += tar::header({.name = name, .mode = 0644, .size = content.size()}) + content + tar::padding(content.size());
  return all + tar::end();
}

std::string digest(const std::string& content) { return "sha256:" + sha256Hex(content); }

} // namespace

std::string ociArchive(const std::string& name, const std::string& layer, const std::string& architecture) {
  const auto configuration = Value{{"architecture", architecture}, {"os", "linux"}}.dump();
  const auto descriptor = [](const std::string& type, const std::string& content) { return Value{{"mediaType", type}, {"digest", digest(content)}, {"size", content.size()}}; };
  const auto manifest = Value{{"schemaVersion", 2},
                              {"config", descriptor("application/vnd.oci.image.config.v1+json", configuration)},
                              {"layers", Value::array({descriptor("application/vnd.oci.image.layer.v1.tar", layer)})}}
                            .dump();
  auto first = descriptor("application/vnd.oci.image.manifest.v1+json", manifest);
  first["annotations"] = {{"io.containerd.image.name", name}};
  const auto blob = [](const std::string& content) { return std::pair("blobs/sha256/" + sha256Hex(content), content); };
  return packed({{"oci-layout", "{}"}, {"index.json", Value{{"schemaVersion", 2}, {"manifests", Value::array({first})}}.dump()}, blob(manifest), blob(configuration), blob(layer)});
}

Workshop::Workshop() {
  temp.put("in/bin/kubelet", program("amd64", "kubelet"));
  temp.put("in/bin/kubectl", program("amd64", "kubectl"));
  temp.put("in/bin/crictl.sh", "#!/bin/sh\n");
  temp.put("in/cni/bridge", program("amd64", "bridge"));
  temp.put("in/units/kubelet.service", "[Service]\n");
  temp.put("in/packages/conntrack_1.4.7-1_amd64.deb", "!<arch>\n");
  temp.put("in/manifests/addon.yaml", "kind: Pod\nspec: {containers: [{image: registry.k8s.io/pause:3.10.2}]}\n");
  temp.put("in/images/pause.tar", ociArchive("registry.k8s.io/pause:3.10.2", "a layer"));
  temp.put("in/images/other.tar", ociArchive("example.org/other:1", "a layer"));
  temp.put("in/bundle.yaml", "apiVersion: kubestrap.io/v1alpha1\nkind: BundleConfiguration\narchitecture: amd64\nkubernetesVersion: v1.37.2\nversions: {cni/bridge: v1.6.2}\n");
}

Making Workshop::making(const std::string& name) const {
  return {.target = at(name), .inputs = inputsIn(at("in")), .key = key, .created = "1970-01-01T00:00:00Z", .tool = "test"};
}

fs::path Workshop::make(const std::string& name) {
  create(making(name));
  return at(name);
}

std::string Workshop::verdict(const Source& source, Alone alone) const {
  NoSink none;
  try {
    verify(source, trusted, none, alone);
    return "good";
  } catch (const Error& error) {
    return error.message();
  }
}
std::string Workshop::verdict(const fs::path& file) const { return verdict(Source{file, {}}); }

std::vector<RawPart> unpacked(const fs::path& bundle) {
  ZstdReader plain(bytesOf(bundle));
  TarReader tar([&] { return plain.read(); });
  std::vector<RawPart> parts;
  while (const auto entry = tar.next()) {
    parts.push_back({.path = entry->path, .content = {}, .target = {}});
    for (auto piece = tar.read(); !piece.empty(); piece = tar.read()) parts.back().content += piece;
  }
  return parts;
}

void pack(const std::vector<RawPart>& parts, const fs::path& bundle) {
  std::string all;
  ZstdWriter zstd([&](std::string_view bytes) { all += bytes; });
  for (const auto& part : parts) {
    // Written octet by octet: what our own writers would refuse is the point.
    std::string header = tar::header({.name = "x", .mode = 0644, .size = part.content.size()});
    header.replace(0, part.path.size(), part.path);
    header[156] = part.type;
    header.replace(157, part.target.size(), part.target);
    header.replace(148, 8, "        ");
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    header.replace(148, 7, fmt::format("{:06o}", sum) + '\0');
    zstd.write(header + part.content + tar::padding(part.content.size()));
  }
  zstd.write(tar::end());
  zstd.finish();
  put(bundle, all);
}

std::string contentOf(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void put(const fs::path& file, std::string_view content) { std::ofstream(file, std::ios::binary | std::ios::trunc) << content; }

} // namespace kubestrap::archive
