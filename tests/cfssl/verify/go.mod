module kubestrap.io/tests/verify

go 1.24
