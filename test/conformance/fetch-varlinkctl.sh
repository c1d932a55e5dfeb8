#!/bin/sh
# Prints the folder with an unpacked systemd of Debian trixie: varlinkctl, libsystemd with sd-varlink,
# their libraries and their own libc. Fetches it first if it is not there. The conformance tests run
# our server against these, which older Debian releases do not have (varlinkctl came with systemd
# 255, sd-varlink.h with 257).
#
#   usage: fetch-varlinkctl.sh [--update]        --update: look whether trixie has a newer one
#
# Nothing of the system changes. apt gets lists, archives and status of its own, reads the machine's
# own Debian mirror with the suite's name replaced, and the packages are unpacked, not installed.
# Run what is in the folder through its own loader, since its libc may be newer than the machine's:
#
#   $dir/usr/lib64/ld-linux-x86-64.so.2 --library-path $dir/usr/lib/x86_64-linux-gnu:... $dir/usr/bin/varlinkctl
#
# The cache is ${XDG_CACHE_HOME:-~/.cache}/ivt/foreign/systemd-VERSION; deleting it is always safe.
set -eu

suite=trixie
packages="systemd libsystemd-dev"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ivt/foreign
work=$cache/.apt # lists and archives, removed when done

die() { echo "fetch-varlinkctl.sh: $*" >&2; exit 1; }

newest() { ls -d "$cache"/systemd-* 2>/dev/null | sort -V | tail -n 1; }

# The mirror and what signs it are those this machine uses for Debian itself.
mirror() {
	{
		cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
			sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) [a-z]* .*main.*/\2/p'
		cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed -n 's/^URIs: *\([^ ]*\).*/\1/p'
	} | grep debian | grep -v -e security -e backports | head -n 1
}

# Of apt's configuration only the way to the network is taken over: hooks of the machine do not run.
configure() {
	mkdir -p "$work/state" "$work/lists/partial" "$work/cache" "$work/archives/partial"
	: >"$work/status"
	uri=$(mirror)
	[ -n "$uri" ] || die "no Debian mirror in /etc/apt, try: a Debian machine, or set XDG_CACHE_HOME to a filled cache"
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	[ -r $keyring ] || die "$keyring is missing, try: apt-get install debian-archive-keyring"
	echo "deb [signed-by=$keyring] $uri $suite main" >"$work/sources.list"
	{
		apt-config dump | grep '^Acquire::' || true
		cat <<-END
			Dir::Etc::Parts "/dev/null";
			Dir::Etc::SourceList "$work/sources.list";
			Dir::Etc::SourceParts "/dev/null";
			Dir::Etc::Preferences "/dev/null";
			Dir::Etc::PreferencesParts "/dev/null";
			Dir::State "$work/state";
			Dir::State::Lists "$work/lists";
			Dir::State::Status "$work/status";
			Dir::Cache "$work/cache";
			Dir::Cache::Archives "$work/archives";
			APT::Sandbox::User "$(id -un)";
			APT::Install-Recommends "false";
			Acquire::Languages "none";
			Acquire::Retries "3";
		END
	} >"$work/apt.conf"
	APT_CONFIG=$work/apt.conf
	export APT_CONFIG
}

run() { "$@" >"$work/log" 2>&1 || die "$1 $2 failed: $(tail -n 1 "$work/log")"; }

fetch() {
	configure
	run apt-get -q update
	version=$(apt-cache policy systemd | sed -n 's/^ *Candidate: //p')
	[ -n "$version" ] || die "$suite has no package systemd"
	target=$cache/systemd-$version
	[ ! -d "$target" ] || return 0
	# shellcheck disable=SC2086  # two packages, two words
	run apt-get -q -y --download-only install $packages
	partial=$work/root.$$
	rm -rf "$partial" && mkdir -p "$partial"
	for deb in "$work"/archives/*.deb; do
		dpkg-deb -x "$deb" "$partial"
	done
	mv -T "$partial" "$target"
}

main() {
	for tool in apt-get apt-cache apt-config dpkg-deb; do
		command -v $tool >/dev/null || die "$tool is missing: only a Debian machine has these packages"
	done
	mkdir -p "$cache"
	if [ "${1:-}" = --update ] || [ -z "$(newest)" ]; then
		exec 9>"$cache/.lock" # two at once must not share apt's state
		flock 9
		if [ "${1:-}" = --update ] || [ -z "$(newest)" ]; then
			rm -rf "$work"
			fetch
			rm -rf "$work"
		fi
	fi
	newest
}

main "$@"
