module kubestrap.io/lab/tools

go 1.24

require github.com/cloudflare/cfssl v1.6.5
