#!/bin/bash
# build.sh [--packages] [dev|asan|release|fuzz]: installs the packages that a build needs where they are missing, and builds a preset (release by
# default); with --packages it only installs.
# The binary lies at build/PRESET/kubestrap, and beside the release's its container image (image/README.md); fuzz builds the fuzzers only (tests/fuzz/README.md).
set -euo pipefail
cd "$(dirname "$0")"
[ "${1:-}" = --packages ] && only_packages=1 && shift
preset=${1:-release}
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # where dpkg's tools are; `su` without `-` leaves them out

packages=(g++ cmake ninja-build ccache pkg-config libcli11-dev libyaml-cpp-dev nlohmann-json3-dev libssl-dev libcurl4-openssl-dev
  libprotobuf-dev protobuf-compiler libfmt-dev zlib1g-dev libarchive-dev libzstd-dev liblzma-dev zstd libtomlplusplus-dev doctest-dev openssl python3 python3-pytest python3-yaml
  python3-cryptography iproute2 ca-certificates)
case $preset in
  fuzz) packages+=(clang libclang-rt-14-dev) ;;
  dev | asan) packages+=(zsh fish) ;; # whose completion is tested
esac
have=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null || true)
missing=()
for package in "${packages[@]}"; do
  [[ $'\n'$have$'\n' == *$'\n'"installed $package"$'\n'* ]] || missing+=("$package")
done
if ((${#missing[@]})); then
  echo "installing ${missing[*]}" >&2
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
[ -z "${only_packages:-}" ] || exit 0

# Compiled once is compiled for every clone of this checkout on the machine.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-5G}
# Ninja takes it for granted that it is alone in its folder; two labs that start at once are not.
mkdir -p build
exec 9>"build/.$preset.lock"
flock 9
[ -e "build/$preset/build.ninja" ] || cmake --preset "$preset" >/dev/null
cmake --build --preset "$preset" >&2
if [ "$preset" = release ]; then ./image/build; fi
