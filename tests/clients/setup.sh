#!/usr/bin/env bash
# Installs what the clients' suites need: `setup.sh DIR`. The Python to run them with is DIR/python.
# Debian's packages give the real ZooKeeper with its shell, and Curator; DIR holds the pinned Python packages.
set -euo pipefail

if [ $# -ne 1 ]; then
    echo "usage: $0 DIR" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
directory=$(cd "$1" && pwd)
log=$directory/setup.log
: >"$log"
trap 'status=$?; [ $status -eq 0 ] || tail -n 30 "$log" >&2' EXIT

packages=()
[ -e /usr/share/java/zookeeper.jar ] && [ -e /usr/share/zookeeper/bin/zkCli.sh ] || packages+=(zookeeper)
[ -e /usr/share/java/curator-recipes.jar ] || packages+=(libcurator-recipes-java)
command -v javac >/dev/null || packages+=(default-jdk-headless)
if [ ${#packages[@]} -gt 0 ]; then
    root=()
    [ "$(id -u)" -eq 0 ] || root=(sudo)
    "${root[@]}" apt-get update -qq >>"$log" 2>&1
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${packages[@]}" >>"$log" 2>&1
fi

# A venv where the module is there, a plain directory on the module path where it is not.
if [ ! -x "$directory/python" ] || ! cmp -s "$here/requirements.txt" "$directory/requirements.txt"; then
    rm -rf "$directory/venv" "$directory/packages" "$directory/python"
    if python3 -m venv "$directory/venv" >>"$log" 2>&1; then
        "$directory/venv/bin/python" -m pip install -q -r "$here/requirements.txt" >>"$log" 2>&1
        path=$directory/venv/bin/python
        printf '#!/bin/sh\nexec "%s" "$@"\n' "$path" >"$directory/python"
    else
        rm -rf "$directory/venv"
        python3 -m pip install -q --target "$directory/packages" -r "$here/requirements.txt" >>"$log" 2>&1
        path=$(command -v python3)
        printf '#!/bin/sh\nPYTHONPATH="%s${PYTHONPATH:+:$PYTHONPATH}" exec "%s" "$@"\n' \
            "$directory/packages" "$path" >"$directory/python"
    fi
    chmod +x "$directory/python"
    cp "$here/requirements.txt" "$directory/requirements.txt"
fi
