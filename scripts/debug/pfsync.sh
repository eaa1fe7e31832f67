# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What debug/guest does with pfsync interfaces. Sourced.

# pair [WORDS...]: hosts a and b on a cable, eth2, and their pfsync0 with more words
# of ip(8)'s.
pair() {
	local host n=0
	ip netns add a
	ip netns add b
	ip link add eth2 netns a type veth peer name eth2 netns b
	for host in a b; do
		n=$((n + 1))
		ip -n "$host" -batch - <<-END
			link set lo up
			addr add 10.1.0.$n/24 dev eth2
			addr add fd01::$n/64 dev eth2 nodad
			link set eth2 up
			link add pfsync0 type pfsync syncdev eth2 local $*
			link set pfsync0 up
		END
	done
	for host in a b; do
		within 60 "$host has asked for all states" told "$host" '.* bulk done .*'
	done
}

# told HOST PATTERN: whether ip(8) says that of pfsync0.
told() { ip -n "$1" -d link show pfsync0 | grep -q -- "$2"; }
knows() { told "$1" '.* states [1-9].*'; }

unpair() {
	local host
	for host in a b; do
		[ ! -e "/run/netns/$host" ] || ip netns del "$host"
	done
}

# flows FIRST LAST: connections from a to b, by port. Nobody listens.
flows() {
	# shellcheck disable=SC2016 # expanded inside
	in_ns a bash -c 'for port in $(seq "$1" "$2"); do
		echo x >/dev/udp/10.1.0.2/$port
		echo x >/dev/udp/fd01::2/$port
		[ $((port % 8)) -gt 0 ] || echo x >/dev/tcp/10.1.0.2/$port
	done' flows "$@" 2>/dev/null || true
}

# states FIRST LAST: the same in the table in memory of a, while there is one.
states() {
	# shellcheck disable=SC2016 # expanded inside
	in_ns a bash -c 'for port in $(seq "$1" "$2"); do
		echo "new udp src=10.9.0.1 dst=10.9.0.2 sport=9 dport=$port" >/dev/pfsync_memory
	done' states "$@" 2>/dev/null || true
}

tables() {
	local table make
	for table in conntrack memory; do
		make=flows
		[ "$table" = conntrack ] || make=states
		step "$table: two hosts tell each other of states"
		pair table "$table"
		"$make" 1000 1100
		within 10 "b knows of a state" knows b

		step "$table: settings change while there are more"
		"$make" 2000 2100 &
		ip -n a link add dummy0 arp on up type dummy
		local words
		for words in "defer" "maxupd 1" "syncpeer 10.1.0.2" "syncpeer fd01::2" "-syncpeer" \
			"syncdev dummy0" "syncdev eth2" "-syncdev" "syncdev eth2" "nosync-mark 7/7" \
			"nosync-zone 3" "-nosync-mark" "-nosync-zone" "maxupd 255" "-defer"; do
			# shellcheck disable=SC2086 # words
			ip -n a link set pfsync0 type pfsync $words
		done
		for words in "maxupd 0" "syncdev pfsync0" "syncdev lo" "syncpeer 224.0.0.1" "table none"; do
			# shellcheck disable=SC2086 # words
			! ip -n a link set pfsync0 type pfsync $words 2>/dev/null || fail "pfsync took $words"
		done
		wait $!
		ip -s -d -n b link show pfsync0 >/dev/null

		step "$table: down and up, and deleted, with states in the table"
		for _ in 1 2 3; do
			ip -n b link set pfsync0 down
			ip -n b link set pfsync0 up
		done
		within 60 "b has been told of all states" told b '.* bulk done .*'
		ip -n b link del pfsync0
		ip -n b link add pfsync0 type pfsync syncdev eth2 local table "$table"
		ip -n b link set pfsync0 up
		[ "$table" = memory ] || in_ns a conntrack -F >/dev/null 2>&1
		sleep 5
		unpair
	done
}

syncdevs() {
	step "the syncdev leaves, with its peer's"
	pair defer
	flows 1000 1050
	ip -n a link del eth2
	told a 'syncdev eth2' && fail "pfsync0 has a syncdev that is gone"
	flows 1000 1020
	sleep 2
	unpair

	step "it moves to another namespace, and back"
	pair
	flows 1000 1050
	ip -n a link set eth2 netns b name eth3
	ip -n b link set eth3 netns a name eth2
	ip -n a link set eth2 up
	ip -n a link set pfsync0 type pfsync syncdev eth2
	unpair

	step "no link, no address, a small MTU"
	pair
	ip -n b link set eth2 down
	flows 1000 1020
	sleep 3
	ip -n b link set eth2 up
	ip -n a addr flush dev eth2
	sleep 2
	ip -n a link set eth2 mtu 68
	sleep 1
	ip -n a link set eth2 mtu 1500
	ip -n a addr add 10.1.0.1/24 dev eth2
	flows 1000 1020
	sleep 3

	step "a namespace dies with interface and states"
	ip netns del a
	sleep 2
	unpair
}

modules_go() {
	local i table make
	step "modules go with states in the table, 6 times"
	for i in $(seq 6); do
		table=conntrack make=flows
		[ $((i % 2)) -eq 0 ] || table=memory make=states
		pair defer table "$table"
		"$make" 1000 1040
		# at another point of sending and confirming each time
		sleep "$((i / 4)).$((i * 7 % 10))"
		! rmmod "pfsync_$table" 2>/dev/null || fail "an adapter went while it was in use"
		rmmod carp
		[ $((i % 3)) -eq 0 ] || unload
		unpair
		load
	done

	step "no adapter, then the adapter without carp.ko"
	unload
	insmod carp.ko
	ip netns add a
	! ip -n a link add pfsync0 type pfsync 2>/dev/null || fail "pfsync0 is there without a table"
	ip netns del a
	unload
	insmod pfsync_conntrack.ko
	insmod pfsync_memory.ko
	unload
	load
}
