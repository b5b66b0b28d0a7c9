#include "kube/kinds.hpp"

#include <algorithm>

namespace kubestrap::kube {

namespace {

constexpr Kind table[] = {
    {"v1", "ConfigMap", "configmaps"},
    {"v1", "Endpoints", "endpoints"},
    {"v1", "Event", "events"},
    {"v1", "LimitRange", "limitranges"},
    {"v1", "Namespace", "namespaces", Scope::cluster},
    {"v1", "Node", "nodes", Scope::cluster},
    {"v1", "PersistentVolume", "persistentvolumes", Scope::cluster},
    {"v1", "PersistentVolumeClaim", "persistentvolumeclaims"},
    {"v1", "Pod", "pods"},
    {"v1", "ReplicationController", "replicationcontrollers"},
    {"v1", "ResourceQuota", "resourcequotas"},
    {"v1", "Secret", "secrets"},
    {"v1", "Service", "services"},
    {"v1", "ServiceAccount", "serviceaccounts"},
    {"apps/v1", "ControllerRevision", "controllerrevisions"},
    {"apps/v1", "DaemonSet", "daemonsets"},
    {"apps/v1", "Deployment", "deployments"},
    {"apps/v1", "ReplicaSet", "replicasets"},
    {"apps/v1", "StatefulSet", "statefulsets"},
    {"autoscaling/v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers"},
    {"autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"},
    {"batch/v1", "CronJob", "cronjobs"},
    {"batch/v1", "Job", "jobs"},
    {"policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"},
    {"rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", Scope::cluster},
    {"rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", Scope::cluster},
    {"rbac.authorization.k8s.io/v1", "Role", "roles"},
    {"rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"},
    {"coordination.k8s.io/v1", "Lease", "leases"},
    {"discovery.k8s.io/v1", "EndpointSlice", "endpointslices"},
    {"networking.k8s.io/v1", "IPAddress", "ipaddresses", Scope::cluster},
    {"networking.k8s.io/v1", "Ingress", "ingresses"},
    {"networking.k8s.io/v1", "IngressClass", "ingressclasses", Scope::cluster},
    {"networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"},
    {"networking.k8s.io/v1", "ServiceCIDR", "servicecidrs", Scope::cluster},
    {"certificates.k8s.io/v1", "CertificateSigningRequest", "certificatesigningrequests", Scope::cluster},
    {"scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", Scope::cluster},
    {"storage.k8s.io/v1", "StorageClass", "storageclasses", Scope::cluster},
    {"storage.k8s.io/v1", "VolumeAttachment", "volumeattachments", Scope::cluster},
    {"apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", Scope::cluster},
    {"apiregistration.k8s.io/v1", "APIService", "apiservices", Scope::cluster},
    {"admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations",
     Scope::cluster},
    {"admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", Scope::cluster},
    {"admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings",
     Scope::cluster},
    {"admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations",
     Scope::cluster},
};

} // namespace

std::span<const Kind> kinds() { return table; }

const Kind* findKind(std::string_view apiVersion, std::string_view kind) {
  const auto* row = std::find_if(std::begin(table), std::end(table),
                                 [&](const Kind& each) { return each.apiVersion == apiVersion && each.kind == kind; });
  return row == std::end(table) ? nullptr : row;
}

const Kind* findPlural(std::string_view apiVersion, std::string_view plural) {
  const auto* row = std::find_if(std::begin(table), std::end(table), [&](const Kind& each) {
    return each.apiVersion == apiVersion && each.plural == plural;
  });
  return row == std::end(table) ? nullptr : row;
}

} // namespace kubestrap::kube
