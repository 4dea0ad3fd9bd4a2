# Sourced by the scripts beside it: installs from Debian's packages what is missing.

# install PACKAGE...
install() {
    local root=""
    [ "$(id -u)" = 0 ] || root=sudo
    # Mirrors have bad moments, and a machine that just started may be at its own updates.
    local patient=(-o Acquire::Retries=5 -o DPkg::Lock::Timeout=600)
    $root apt-get "${patient[@]}" update -qq
    $root env DEBIAN_FRONTEND=noninteractive apt-get "${patient[@]}" install -y -qq "$@"
}

# need PROGRAM PACKAGE...: installs the packages unless the program is there.
need() {
    command -v "$1" >/dev/null || install "${@:2}"
}
