# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What debug/guest does with carp interfaces. Sourced.

# switch HOSTS...: namespaces with an eth0 each on one bridge, and their carp0.
switch() {
	local host skew=0 n=10
	ip link add br0 type bridge
	ip link set br0 up
	for host in "$@"; do
		ip netns add "$host"
		ip link add "port-$host" type veth peer name eth0 netns "$host"
		ip link set "port-$host" master br0 up
		n=$((n + 1))
		ip -n "$host" addr add "10.0.0.$n/24" dev eth0
		ip -n "$host" link set lo up
		ip -n "$host" link set eth0 up
		carp "$host" 1 "$skew"
		skew=$((skew + 80))
	done
}

# carp HOST VHID ADVSKEW [PARENT]
carp() {
	ip -n "$1" link add "carp$2" type carp vhid "$2" carpdev "${4:-eth0}" pass secret advskew "$3"
	ip -n "$1" addr add "10.0.0.$2/24" dev "carp$2"
	ip -n "$1" link set "carp$2" up
}

state() {
	ip -n "$1" -d link show "${2:-carp1}" | sed -n 's/.* state \(INIT\|BACKUP\|MASTER\) .*/\1/p' | tail -n 1
}

# wait_state HOST STATE [INTERFACE]
wait_state() {
	for _ in $(seq 100); do
		[ "$(state "$1" "${3:-carp1}")" != "$2" ] || return 0
		sleep 0.1
	done
	fail "${3:-carp1} on $1 is $(state "$1" "${3:-carp1}"), not $2"
}

teardown() {
	local host
	for host in "$@"; do
		ip netns del "$host"
	done
	ip link del br0
	# namespaces die in their own time
	for _ in $(seq 100); do
		[ -n "$(ip -o link show type veth)" ] || return 0
		sleep 0.1
	done
	fail "the namespaces' links are still there"
}

elections() {
	step "three hosts elect a master, and another when the first is cut off"
	switch a b c
	wait_state a MASTER
	wait_state b BACKUP
	wait_state c BACKUP
	in_ns c ping -c 2 -W 2 10.0.0.11 >/dev/null
	bridge link set dev port-a state 0
	wait_state b MASTER
	bridge link set dev port-a state 3
	wait_state b BACKUP
	ip link set port-a down
	wait_state a INIT
	wait_state b MASTER
	ip link set port-a up

	step "settings change under way"
	ip -n b link set carp1 type carp state master
	ip -n b link set carp1 type carp advbase 2 advskew 3 pass other
	ip -n b link set carp1 type carp vhid 7
	in_ns b sysctl -q net.inet.carp.preempt=1 net.inet.carp.log=7 net.inet.carp.allow=0
	sleep 3
	ip -n b link set carp1 type carp vhid 1 pass secret
	in_ns b sysctl -q net.inet.carp.allow=1
	ip -n b addr add 10.0.0.2/24 dev carp1
	ip -n b addr add 10.0.0.3/24 dev carp1
	ip -n b addr del 10.0.0.1/24 dev carp1
	ip -n b addr flush dev carp1
	ip -n b link set carp1 down
	ip -n b addr add 10.0.0.1/24 dev carp1
	ip -n b link set carp1 up
	sleep 3

	step "packets come while somebody looks"
	in_ns c ping -q -c 200 -i 0.01 10.0.0.1 >/dev/null || true
	in_ns a ip -s -d link show carp1 >/dev/null
	in_ns a timeout 3 tcpdump -ni carp1 >/dev/null 2>&1 || true
	teardown a b c
}

parents() {
	step "a parent leaves under its carp interfaces"
	switch a b
	carp a 2 0
	carp a 3 0
	wait_state a MASTER carp3
	ip -n a link del eth0
	[ "$(state a carp3)" = INIT ] || fail "carp3 runs without a parent"
	ip -n a link del carp2

	step "it moves to another namespace"
	ip netns add other
	ip -n b link set eth0 netns other
	ip -n other link set eth0 up
	ip netns del other
	teardown a b

	step "carp interfaces go from one parent to another and back"
	switch a
	ip -n a link add dummy0 arp on up type dummy
	for _ in $(seq 10); do
		ip -n a link set carp1 type carp carpdev dummy0
		ip -n a link set carp1 type carp carpdev eth0
		ip -n a link set carp1 type carp vhid 9
		ip -n a link set carp1 type carp vhid 1
	done
	ip -n a link set carp1 type carp -carpdev
	ip -n a link set carp1 type carp carpdev dummy0

	step "it loses its IPv4, with the group that was joined, and gets it back"
	ip -n a link set dummy0 mtu 60
	ip -n a link set dummy0 mtu 1500
	ip -n a link set carp1 type carp carpdev eth0

	step "the parent is a VLAN, a bridge, a bond, a macvlan, or in a VRF"
	ip -n a link add vlan5 up link eth0 type vlan id 5
	ip -n a link add br1 up type bridge
	ip -n a link add bond1 up type bond mode active-backup
	ip -n a link add d1 type dummy
	ip -n a link set d1 master bond1
	ip -n a link add dummy2 arp on up type dummy
	ip -n a link add macvlan1 up link dummy2 type macvlan mode passthru
	ip -n a link add vrf1 up type vrf table 10
	ip -n a link add dummy3 arp on up type dummy
	ip -n a link set dummy3 master vrf1
	local parent vhid=20
	for parent in vlan5 br1 bond1 macvlan1 dummy3; do
		vhid=$((vhid + 1))
		carp a "$vhid" 0 "$parent"
	done
	ip -n a link set carp25 master vrf1 || true
	sleep 5
	for parent in vlan5 br1 bond1 macvlan1 dummy3; do
		ip -n a link del "$parent"
	done
	step "what cannot be a parent"
	for parent in lo carp1 vrf1; do
		! ip -n a link add carp99 type carp vhid 99 carpdev "$parent" 2>/dev/null ||
			fail "$parent became a parent"
	done
	! ip -n a link add carp99 type carp vhid 1 carpdev eth0 2>/dev/null ||
		fail "two interfaces have vhid 1"
	teardown a
}

many() {
	step "255 carp interfaces on one parent, and all go at once"
	switch a
	{
		for vhid in $(seq 2 255); do
			echo "link add carp$vhid type carp vhid $vhid carpdev eth0 pass secret"
			echo "addr add 10.0.1.$vhid/32 dev carp$vhid"
			echo "link set carp$vhid up"
		done
	} >/tmp/batch
	ip -n a -batch /tmp/batch
	wait_state a MASTER carp255
	teardown a
}

unload_carp() {
	local i
	step "carp.ko is unloaded with everything in use, 8 times"
	for i in $(seq 8); do
		switch a b
		# at another point of the election each time
		sleep "$((i / 2)).$((i * 7 % 10))"
		rmmod carp
		teardown a b
		insmod carp.ko
	done
}
