#!/bin/bash
# import.sh STORE LAYERS FOLDER...: starts the machines' own containerd with STORE as its state, imports every archive
# of the folders and stops it again. Runs in mount and PID namespaces of its own: what it mounts ends with it.
set -euo pipefail
store=$1 layers=$2
shift 2

scratch=$(mktemp -d)
mount -t tmpfs tmpfs "$scratch"
mkdir "$scratch"/{upper,work,root}
root=$scratch/root
mount -t overlay overlay -o "lowerdir=$layers,upperdir=$scratch/upper,workdir=$scratch/work" "$root"
mkdir -p "$root"/var/lib/containerd
mount --bind "$store" "$root/var/lib/containerd"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/run"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"

chroot "$root" containerd >"$scratch/containerd.log" 2>&1 &
containerd=$!
for _ in $(seq 100); do
  chroot "$root" ctr version >/dev/null 2>&1 && break
  kill -0 $containerd 2>/dev/null || break
  sleep 0.1
done
chroot "$root" ctr version >/dev/null || { tail -n 20 "$scratch/containerd.log"; exit 1; }

mkdir -p "$root/archives"
for folder in "$@"; do
  mount --bind "$folder" "$root/archives"
  for archive in "$root"/archives/*.tar; do
    reference=$(tar -xOf "$archive" index.json | chroot "$root" jq -r '.manifests[0].annotations["io.containerd.image.name"]')
    echo "importing $reference"
    chroot "$root" ctr -n k8s.io images import "/archives/${archive##*/}"
    # DaemonSets that name images by digest need the name@digest reference, too
    digest=$(tar -xOf "$archive" index.json | chroot "$root" jq -r '.manifests[0].digest')
    chroot "$root" ctr -n k8s.io images tag --force "$reference" "${reference%:*}@$digest"
  done
  umount "$root/archives"
done
chroot "$root" ctr -n k8s.io images ls

kill $containerd
wait $containerd || true
