# Sourced by the scripts beside it: installs from Debian's packages what is missing.

# install PACKAGE...
install() {
    local root=""
    [ "$(id -u)" = 0 ] || root=sudo
    $root apt-get update -qq
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@"
}

# need PROGRAM PACKAGE...: installs the packages unless the program is there.
need() {
    command -v "$1" >/dev/null || install "${@:2}"
}
