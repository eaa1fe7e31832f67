# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Common ground of the scripts: where caches live, how a message looks, how a
# step that takes minutes shows that it is alive. Sourced, never run.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${CARP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/carp}

# One Debian release holds compiler, kernel and guests: the rustc must be the
# very one that built the kernel. CARP_SUITE names another one for compiler and
# kernel (forky, sid); what else runs in a guest stays as it is.
debian=trixie
suite=${CARP_SUITE:-$debian}

say() { printf '%s\n' "$*" >&2; }

die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# key FILE...: a short name for what these files hold, for cache folders.
key() { cat "$@" | sha256sum | cut -c1-12; }

# What cargo builds, a folder for each checkout: it takes sources for changed by their times,
# which say nothing between two of them.
cargo_target=${CARGO_TARGET_DIR:-$cache/target-$(echo "$top" | key -)}

# step "what happens" LOG COMMAND...: runs the command with its output in LOG
# and one line on the terminal that shows the seconds passing.
step() {
	local what=$1 log=$2 start=$SECONDS pid rc=0
	shift 2
	mkdir -p "$(dirname "$log")"
	"$@" >"$log" 2>&1 &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		if [ -t 2 ]; then
			printf '\r  %s … %ds ' "$what" "$((SECONDS - start))" >&2
		fi
		sleep 1
	done
	wait "$pid" || rc=$?
	[ -t 2 ] && printf '\r' >&2
	if [ "$rc" -ne 0 ]; then
		say "  $what: failed after $((SECONDS - start))s; the end of $log:"
		tail -n 25 "$log" >&2
		return "$rc"
	fi
	say "  $what: $((SECONDS - start))s"
}

# with_lock NAME COMMAND...: two makes at once must not fill one cache folder.
with_lock() {
	local name=$1
	shift
	mkdir -p "$cache"
	(
		flock 9
		"$@"
	) 9>"$cache/.$name.lock"
}

# Mounts and processes of its own, which an interrupted run does not leave behind: a later
# rm would walk into the mounts.
apart=(unshare --mount --propagation private --pid --fork --kill-child)

# The kernel that carp.ko was built for, as it says itself.
module_release() {
	local release
	[ -e "$top/carp.ko" ] || die "carp.ko is not built yet: run make first."
	release=$(grep -ao 'vermagic=[^ ]*' "$top/carp.ko" | head -n 1)
	release=${release#vermagic=}
	[ -n "$release" ] || die "carp.ko does not say which kernel it was built for: run make clean, then make."
	echo "$release"
}

# The rustc that built the kernel of a folder with its configuration.
rustc_of_kernel() { sed -n 's/^CONFIG_RUSTC_VERSION_TEXT="\(.*\)"/\1/p' "$1/.config"; }

need_root() {
	[ "$(id -u)" -eq 0 ] ||
		die "$1 needs root, for it makes a Debian root folder and mounts in it: run it with sudo, or in a container or virtual machine of its own."
}

# The only thing that the machine itself must have; everything else lives in
# the build root.
need_mmdebstrap() {
	command -v mmdebstrap >/dev/null && return
	command -v apt-get >/dev/null ||
		die "mmdebstrap is missing and there is no apt-get to install it with: install mmdebstrap and debian-archive-keyring by hand."
	need_root "installing mmdebstrap"
	install_mmdebstrap() {
		apt-get update &&
			DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
				mmdebstrap debian-archive-keyring
	}
	step "installing mmdebstrap" "$cache/log/mmdebstrap" install_mmdebstrap ||
		die "apt-get could not install mmdebstrap: is the network reachable?"
}

# debian_root ROOT WHAT SUITE [OPTION...]: makes the root folder of a Debian with mmdebstrap's
# options, if it is not there yet; the log is named like the calling script.
debian_root() { with_lock "$(basename "$0")" make_debian_root "$@"; }
make_debian_root() {
	local root=$1 what=$2 suite=$3 log
	shift 3
	[ ! -e "$root" ] || return 0
	log=$cache/log/$(basename "$0")
	need_root "making the root folder for $what"
	need_mmdebstrap
	rm -rf --one-file-system "$root.new"
	mkdir -p "$root.new"
	step "$what from Debian $suite" "$log" \
		"${apart[@]}" --mount-proc mmdebstrap \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--aptopt='APT::Install-Recommends "false"' \
		"$@" "$suite" "$root.new" ||
		die "the root folder for $what could not be made: see $log"
	mv "$root.new" "$root"
}

# guest_modules NAME TREE [make's words]: builds the modules for another kernel than the
# first, and puts the words into `guest_options` with which a guest gets them.
guest_modules() {
	local name=$1 tree=$2 built log module
	shift 2
	built=$cache/module-$(echo "$top $tree" | key -) log=$cache/log/module-$name
	step "building the modules for $name" "$log" \
		env CARP_KDIR="$tree" CARP_OUT="$built" "$top/scripts/build-module" --no-print-directory "$@" modules ||
		die "the modules could not be built for $name: see $log"
	for module in "$built"/*.ko; do
		guest_options+=(--add "$module")
	done
}

# ifupdown_links FOLDER: ifupdown and ifupdown-ng, whose files are below it, find what makes
# the interfaces of a stanza.
ifupdown_links() {
	local hook executor
	for hook in pre-up down post-down; do
		mkdir -p "$1/etc/network/if-$hook.d"
		ln -sf /usr/lib/carp/ifupdown "$1/etc/network/if-$hook.d/carp"
	done
	mkdir -p "$1/usr/libexec/ifupdown-ng"
	for executor in carp pfsync; do
		ln -sf ../../lib/carp/ifupdown "$1/usr/libexec/ifupdown-ng/$executor"
	done
}

# test_machines FOLDER [VARIABLE=VALUE...] -- [ARGUMENT...]: runs the tests of
# qemu-tests/FOLDER, in which several QEMUs run at once, in real time, with pytest's
# arguments. Does not return.
test_machines() {
	local folder=qemu-tests/$1 guest
	local -a variables=() arguments=()
	shift
	while [ "$1" != -- ]; do
		variables+=("$1")
		shift
	done
	shift
	"$top/scripts/guest-image" >/dev/null
	guest=$("$top/scripts/guest-root")
	mkdir -p "$cache/run"
	# what an interrupted run left behind
	find "$cache/run" -maxdepth 1 -name 'cluster.*' -mtime +0 -exec rm -rf --one-file-system {} +
	arguments=("${@#"$folder/"}")
	# pytest is the guests' own: it is the same Debian, and so the same Python.
	cd "$top/$folder"
	exec "$top/scripts/in-root" env PYTHONPATH="$guest/usr/lib/python3/dist-packages" \
		PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 "${variables[@]}" \
		python3 -m pytest -c pytest.ini --rootdir . "${arguments[@]}"
}

# add_results LOG: adds the last line "N passed, N failed" of a log, which may hold any
# bytes, to `passed` and `failed`; fails if there is none.
add_results() {
	local line
	line=$(grep -aE '^[0-9]+ passed, [0-9]+ failed' "$1" | tail -n 1 || true)
	[ -n "$line" ] || return 1
	passed=$((passed + ${line%% passed*}))
	line=${line#*passed, }
	failed=$((failed + ${line%% failed*}))
}
