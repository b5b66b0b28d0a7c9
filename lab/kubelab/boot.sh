#!/bin/bash
# boot.sh: the first process of a machine, PID 1 of fresh namespaces. Builds the machine's view of the world out of its
# layers and its disk, makes that its root and becomes systemd. Its settings come as environment variables:
#   NAME ADDRESS GATEWAY   who the machine is
#   LAYERS DISK            read-only layers of its root file system, the folder that is its disk
#   COMPONENTS IMAGES      folders that every machine sees read-only as /opt/kubernetes and /opt/images
#   CGROUPS                "v2", or the mount options of each v1 hierarchy, separated by spaces
set -euo pipefail

root=$DISK/root
mount --make-rprivate / # nothing that follows leaks into the host's mount table
mount -t overlay overlay -o "lowerdir=$LAYERS,upperdir=$DISK/upper,workdir=$DISK/work" "$root"

# /var is no overlay: containerd lays overlays of its own below it, and etcd wants the real file system's fsync.
mount --bind "$DISK/var" "$root/var"
for pair in "$COMPONENTS:opt/kubernetes" "$IMAGES:opt/images"; do
  mount --bind "${pair%%:*}" "$root/${pair##*:}"
  mount -o remount,bind,ro "$root/${pair##*:}"
done

# A kernel without /proc/config.gz is described by this file alone, which its own package brings on a machine of one's own.
config=/boot/config-$(uname -r)
if [ -e "$config" ]; then
  mkdir -p "$root/boot"
  : >>"$root$config"
  mount --bind "$config" "$root$config"
  mount -o remount,bind,ro "$root$config"
fi

mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"
mkdir -m 1777 "$root/run/lock"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/tmp"

# A /dev of its own: devtmpfs is one for the whole host.
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
while read -r device major minor mode; do
  mknod -m "$mode" "$root/dev/$device" c "$major" "$minor"
done <<'DEVICES'
null 1 3 666
zero 1 5 666
full 1 7 666
random 1 8 666
urandom 1 9 666
tty 5 0 666
kmsg 1 11 644
fuse 10 229 666
DEVICES
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"
mkdir "$root"/dev/{pts,shm,mqueue}
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
mount -t mqueue mqueue "$root/dev/mqueue" || true
: >"$root/dev/console"

# Mounting a v1 hierarchy again with its own options shows the same hierarchy, rooted at this machine's group.
init_options=()
if [ "$CGROUPS" = v2 ]; then
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
  mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/sys/fs/cgroup"
  for options in $CGROUPS none,name=systemd; do
    folder=$root/sys/fs/cgroup/${options#none,name=}
    mkdir -p "$folder"
    mountpoint -q "$folder" || mount -t cgroup -o "$options" cgroup "$folder"
  done
  # With less systemd mounts cgroup2 itself and writes into the root of the host's.
  init_options=(SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 systemd.unified_cgroup_hierarchy=0
    systemd.legacy_systemd_cgroup_controller=1)
fi

hostname "$NAME"
if ! [ -e "$DISK/booted" ]; then # the first boot: later ones find what was written, and what its owner changed since
  echo "$NAME" >"$root/etc/hostname"
  printf '127.0.0.1 localhost\n%s %s\n' "$ADDRESS" "$NAME" >"$root/etc/hosts"
  # Nobody answers there. It may not be a loopback address: CoreDNS would take that for a forwarding loop and end.
  echo "nameserver $GATEWAY" >"$root/etc/resolv.conf"
  tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
  : >"$DISK/booted"
fi

for setting in ip_forward=1 conf/all/rp_filter=0 conf/default/rp_filter=0; do
  echo "${setting#*=}" >"/proc/sys/net/ipv4/${setting%=*}" || true
done
for setting in /proc/sys/net/bridge/bridge-nf-call-{ip,ip6}tables; do
  [ ! -e "$setting" ] || echo 1 >"$setting"
done
# Routes to the pods of other machines, written by the lab's CNI step.
if [ -e "$root/etc/lab/routes" ]; then
  while read -r cidr via; do ip route replace "$cidr" via "$via"; done <"$root/etc/lab/routes"
fi

cd "$root"
mkdir -p .old
pivot_root . .old
cd /
mount --make-rshared / # volumes with Bidirectional propagation need it
umount -l /.old
rmdir /.old

exec env -i container=kubestrap-lab PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  /usr/lib/systemd/systemd --system "${init_options[@]}" systemd.show_status=1 </dev/null >>/var/log/boot.log 2>&1
