#!/usr/bin/env bash
# Installs what FlexGEMM is built with, on Debian 12 or newer and Ubuntu 24.04 or newer. Run as root or with sudo at
# hand. Does nothing, and needs no network, when everything is present.
#   cli/install_dependencies.sh            what flexgemm-run needs
#   cli/install_dependencies.sh --tests    also what the tests need
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tests=no
case "${1:-}" in
  "") ;;
  --tests) tests=yes ;;
  *) echo "usage: $0 [--tests]" >&2; exit 2 ;;
esac

# Package and its least version; 0 for any.
needed=("g++ 4:11" "cmake 3.25" "ninja-build 0" "libfmt-dev 9" "nlohmann-json3-dev 3.9" "libcli11-dev 2.1"
  "zlib1g-dev 0" "libopenblas-dev 0")
if [[ $tests == yes ]]; then
  needed+=("catch2 3" "pkg-config 0" "libdlpack-dev 0" "libboost-context-dev 0")
fi

if ! command -v apt-get > /dev/null || ! command -v dpkg-query > /dev/null; then
  # A machine of another kind is fine as long as somebody has installed everything: CMake says what it misses.
  echo "This is not a Debian or Ubuntu system. Install by hand what these packages hold: ${needed[*]%% *}" >&2
  command -v cmake > /dev/null && command -v ninja > /dev/null && exit 0
  exit 1
fi

at_least() { dpkg --compare-versions "$1" ge "$2"; }
installed_version() {
  dpkg-query --show --showformat='${db:Status-Status} ${Version}\n' "$1" 2> /dev/null | sed -n 's/^installed //p' | head -n 1
}
candidate_version() { apt-cache policy "$1" | sed -n 's/^ *Candidate: //p'; }

# A compiler or a CMake that did not come as a package counts too.
present() {
  local package=$1 least=$2 version
  case $package in
    g++) version=$(g++ -dumpfullversion 2> /dev/null || true); least=11 ;;
    cmake) version=$(PATH="$root/.cache/tools/bin:$PATH" cmake --version 2> /dev/null | sed -n '1s/[^0-9]*//p' || true) ;;
    ninja-build) command -v ninja > /dev/null; return ;;
    pkg-config) command -v pkg-config > /dev/null; return ;;
    *) version=$(installed_version "$package") ;;
  esac
  [[ -n $version ]] && at_least "$version" "$least"
}

missing=()
for entry in "${needed[@]}"; do
  read -r package least <<< "$entry"
  present "$package" "$least" || missing+=("$entry")
done
if [[ ${#missing[@]} -eq 0 ]]; then
  exit 0
fi

as_root=()
if [[ $EUID -ne 0 ]]; then
  if ! command -v sudo > /dev/null; then
    echo "These packages are missing: ${missing[*]%% *}" >&2
    echo "Run this script as root, or install sudo." >&2
    exit 1
  fi
  as_root=(sudo)
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o Dpkg::Use-Pty=0 "$@" < /dev/null; }

echo "Missing: ${missing[*]%% *}. Updating the package lists."
apt -qq update

# Debian 12 holds Catch2 v3 in its backports, on the same mirror as everything else.
enable_backports() {
  local codename mirror
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  [[ $codename == bookworm ]] || return 0
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' | awk '$2 == "bookworm" && $3 == "main" { print $1; exit }')
  [[ -n $mirror ]] || return 0
  echo "Enabling bookworm-backports, for Catch2 v3, in /etc/apt/sources.list.d/flexgemm-backports.list."
  echo "deb $mirror bookworm-backports main" | "${as_root[@]}" tee /etc/apt/sources.list.d/flexgemm-backports.list > /dev/null
  apt -qq update
}

# apt prefers the stable release to its backports: ask for the version that is new enough.
newest_version() { apt-cache madison "$1" | awk '{ print $3 }' | head -n 1; }

install=()
for entry in "${missing[@]}"; do
  read -r package least <<< "$entry"
  if [[ $package == catch2 ]] && ! at_least "$(newest_version catch2)" "$least"; then
    enable_backports
  fi
  candidate=$(candidate_version "$package")
  newest=$(newest_version "$package")
  if [[ -n $candidate && $candidate != "(none)" ]] && at_least "$candidate" "$least"; then
    install+=("$package")
  elif [[ -n $newest ]] && at_least "$newest" "$least"; then
    install+=("$package=$newest")
    # The library beside it, which Debian packages apart.
    [[ $package == catch2 && -n $(apt-cache madison libcatch2-dev) ]] && install+=("libcatch2-dev=$newest")
  elif [[ $package == cmake ]]; then
    cmake_from_pip=yes
    install+=(python3-venv)
  else
    echo "$package ${least#*:} or newer is needed; this distribution offers ${candidate:-none}. Install it by hand, or" >&2
    echo "use Debian 12, Ubuntu 24.04 or newer. All that is needed: ${needed[*]%% *}" >&2
    exit 1
  fi
done
if [[ ${#install[@]} -gt 0 ]]; then
  echo "Installing: ${install[*]}"
  apt -qq install --yes --no-install-recommends "${install[@]}"
fi
if [[ ${cmake_from_pip:-no} == yes ]]; then
  echo "Installing CMake into $root/.cache/tools, because this distribution's is older than 3.25."
  python3 -m venv "$root/.cache/tools"
  "$root/.cache/tools/bin/pip" install --quiet 'cmake>=3.25,<4'
fi
