module kubestrap.io/lab/testtool

go 1.21
