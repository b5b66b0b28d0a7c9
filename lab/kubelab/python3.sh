# Sourced by whatever runs Python here: a fresh Debian may have none, and `su` without `-` leaves the folders of debootstrap, chroot and
# dpkg's own tools out of PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH
if ! command -v python3 >/dev/null; then
  echo "installing python3" >&2
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3; } >&2
fi
