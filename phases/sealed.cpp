#include "phases/sealed.hpp"

namespace kubestrap::phases {

plan::Object sealed(const SealedFile& sealed, plan::ApplyMode mode) {
  plan::Object object{.document = Value::object({{"apiVersion", "v1"}, {"kind", "Secret"}, {"type", "Opaque"},
                                                 {"metadata", Value::object({{"name", sealed.secret}, {"namespace", "kube-system"}})}}),
                      .mode = mode,
                      .access = sealed.access,
                      .fills = {},
                      .secrecy = plan::Secrecy::secret,
                      .initialOnly = {}};
  if (mode != plan::ApplyMode::apply) return object;
  object.document["data"] = Value::object({{sealed.member, ""}});
  object.fills = {{Pointer("/data/" + sealed.member), plan::FileFor{sealed.file, sealed.receiver}}};
  return object;
}

} // namespace kubestrap::phases
