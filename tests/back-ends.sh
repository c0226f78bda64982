#!/bin/sh
# Installs the servers, and the browser, that the tests start by themselves, where that can be done; else says so.
PATH="$PATH:/usr/sbin:/usr/local/sbin"
missing=""
command -v mariadbd >/dev/null 2>&1 || command -v mysqld >/dev/null 2>&1 || missing="$missing mariadb-server"
command -v redis-server >/dev/null 2>&1 || missing="$missing redis-server"
command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 ||
    command -v google-chrome >/dev/null 2>&1 || missing="$missing chromium"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing for the tests:$missing"
    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
    exit $?
fi
echo "!! Not installed:$missing. The tests of these back ends will be SKIPPED; install them to run everything."
[ -z "$CI" ] || exit 1
