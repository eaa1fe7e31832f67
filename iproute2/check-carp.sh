# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
# What check does for link_carp.so.

node() { # VHID ADVSKEW [STATE]
	nest $NODE "$(attr $NODE_VHID "$(u8 "$1")")$(attr $NODE_ADVSKEW "$(u8 "$2")")${3:+$(attr $NODE_STATE "$(u8 "$3")")}"
}
# The numbers of if_carp.h are written out: a change of them breaks user space.
VHID=1 CARPDEV=2 ADVBASE=3 ADVSKEW=4 PASS=5 STATE=6 DEMOTE=7 STATS=9
CARPNODES=10 BALANCING=11 CARPPEERS=12 MINTTL=13 ANNOUNCE=22 JOINED=14 GROUP_JOIN=15 GROUP_LEAVE=16
LINKLOCAL=17 DEMOTESKEW=18 DIGEST_DIFFERS=19 ADDRESSES=20 CARPDEV_NETNSID=21
ADDRESS_COUNT=24
# elements of nests, and what is in a node
NODE=1 PEER=2 GROUP=3 ADDRESS=4 NODE_VHID=1 NODE_ADVSKEW=2 NODE_STATE=3

# --- from words to attributes

sends "$(attr $VHID "$(u8 1)")" vhid 1
sends "$(attr $VHID "$(u8 0)")" vhid 0
sends "$(attr $VHID "$(u8 10)")" vhid 010
sends "$(attr $ADVSKEW "$(u8 255)")$(attr $ADVBASE "$(u8 255)")" advskew 255 advbase 255
sends "$(attr $CARPDEV "$(u32 1)")" carpdev lo
sends "$(attr $CARPDEV "$(u32 0)")" carpdev none
sends "$(attr $CARPDEV "$(u32 0)")" -carpdev
sends "$(attr $STATE "$(u8 1)")" state backup
sends "$(attr $STATE "$(u8 2)")" state MASTER
sends "$(attr $VHID "$(u8 1)")$(attr $CARPDEV "$(u32 1)")$(attr $PASS "$(text mekmitasdigoat)")$(attr $ADVSKEW "$(u8 100)")" \
	vhid 1 carpdev lo pass mekmitasdigoat advskew 100
fine "the pass phrase is wiped from the command line" has_not mekmitasdigoat
sends "$(attr $PASS "")" pass ""
# Longer than the kernel takes: the kernel's sentence is what the user reads.
sends "$(attr $PASS "$(text 12345678901234567890)")" pass 12345678901234567890

printf 'two words \nsecond line\n' >"$tmp/phrase"
sends "$(attr $PASS "$(text 'two words ')")" passfile "$tmp/phrase"
printf 'no newline' >"$tmp/phrase"
sends "$(attr $PASS "$(text 'no newline')")" passfile "$tmp/phrase"
fine "a warning of a file that others can read" has "Warning: others than its owner can read or write \"$tmp/phrase\""
chmod 600 "$tmp/phrase"
sends "$(attr $PASS "$(text 'no newline')")" passfile "$tmp/phrase"
fine "no warning of a file that others cannot read" has_not Warning
add passfile - < <(echo "from a pipe")
fine "passfile -" has "$(attr "$IFLA_INFO_DATA" "$(attr $PASS "$(text "from a pipe")")")"

sends "$(nest $CARPNODES "$(node 1 0)$(node 255 254)")" carpnodes 1:0,255:254
sends "$(nest $CARPNODES "$(node 7 100)")" carpnodes 7:100
pairs="" nodes=""
for i in {1..32}; do
	pairs+=,$i:$i
	nodes+=$(node "$i" "$i")
done
sends "$(nest $CARPNODES "$nodes")" carpnodes "${pairs#,}"
number=0
for mode in none arp ip ip-stealth ip-unicast; do
	sends "$(attr $BALANCING "$(u8 $number)")" balancing $mode
	number=$((number + 1))
done
sends "$(nest $CARPPEERS "$(attr $PEER "$(ipv4 10.0.0.3)")")" carppeer 10.0.0.3
sends "$(nest $CARPPEERS "$(attr $PEER "$(ipv4 10.0.0.3)")$(attr $PEER 20010db8000000000000000000000003)")" \
	carppeer 10.0.0.3,2001:db8::3
sends "$(nest $CARPPEERS "")" -carppeer
sends "$(attr $MINTTL "$(u8 64)")" minttl 64
sends "$(attr $ANNOUNCE "$(u8 60)")" announce 60
sends "$(attr $GROUP_JOIN "$(text internal)00")" group internal
sends "$(attr $GROUP_LEAVE "$(text carp)00")" -group carp
sends "$(attr $GROUP_JOIN "$(text a)00")$(attr $GROUP_LEAVE "$(text b)00")" group a -group b
sends "$(attr $LINKLOCAL "$(u8 1)")$(attr $DEMOTESKEW "$(u8 0)")" linklocal -demoteskew
sends "$(attr $DEMOTESKEW "$(u8 1)")$(attr $LINKLOCAL "$(u8 0)")" demoteskew -linklocal

long=$(printf '%0300d' 0)
for value in "" 1 1: :1 "1:0," "1:0,,2:0" 1:0:0 256:0 1:256 a:b "1:0,2"; do
	refuses ' is invalid: VHID:ADVSKEW, 1-255:0-254, or several with commas between is expected.' \
		carpnodes "$value"
done
refuses '"carpnodes" value "2:x" is invalid' carpnodes 1:0,2:x
refuses '"carpnodes" takes at most 32 elements.' carpnodes "${pairs#,},33:0"
refuses 'duplicate "carpnodes"' carpnodes 1:0 carpnodes 2:0
refuses '"balancing" value "IP" is invalid: none, arp, ip, ip-stealth or ip-unicast is expected.' balancing IP
for value in "" 10.0.0 "10.0.0.3," fe80::1%eth0 "$long"; do
	refuses ' is invalid: an IPv4 or IPv6 address, or several with commas between is expected.' carppeer "$value"
done
refuses '"carppeer" takes at most 32 elements.' carppeer "$(printf '10.0.0.1%.0s,' {1..33})"
refuses 'duplicate "-carppeer"' carppeer 10.0.0.3 -carppeer
refuses '"minttl" value "256" is invalid: a number of 1-255 is expected.' minttl 256
refuses '"group" value "sixteen-letters_" is invalid: a name of 1-15 characters' group sixteen-letters_
refuses '"group" can be said once in a command: one group after the other.' group a group b
refuses 'duplicate "-linklocal"' linklocal -linklocal
for word in carpnodes balancing carppeer minttl announce group -group; do
	refuses "\"$word\" needs a value" $word
done
refuses '"vhid" value "256" is invalid' vhid 256
refuses '"vhid" value "-1" is invalid' vhid -1
refuses '"vhid" value "" is invalid' vhid ""
refuses '"vhid" value "1x" is invalid' vhid 1x
refuses '"advbase" value "256" is invalid: a number of 0-254 is expected' advbase 256
refuses '"advskew" value "18446744073709551617" is invalid' advskew 18446744073709551617
refuses '"vhid" needs a value' vhid
refuses '"pass" needs a value' vhid 1 pass
refuses 'duplicate "advskew"' advskew 1 advskew 2
refuses 'duplicate "-carpdev"' carpdev lo -carpdev
refuses 'duplicate "pass"' passfile "$tmp/phrase" pass secret
fine "an error does not show the pass phrase" has_not secret
refuses '"state" value "slave" is invalid: backup or master is expected' state slave
refuses 'Cannot find device "no-such-device"' carpdev no-such-device
refuses "Cannot find device \"$long\"" carpdev "$long"
refuses 'the value of "pass" is too long: 0-19 bytes' pass "$long"
fine "an error does not show a long pass phrase" has_not 0000
echo "$long" >"$tmp/phrase"
refuses 'the value of "passfile" is too long: 0-19 bytes' passfile "$tmp/phrase"
refuses "\"passfile\" cannot read \"$tmp/none\": No such file" passfile "$tmp/none"
refuses '"passfile" cannot read "/": Is a directory' passfile /
refuses 'the first line of "/dev/null" is empty' passfile /dev/null
refuses 'the first line of "-" is empty' passfile -
refuses 'does not know the word "nosuchword"' vhid 1 nosuchword
fine "an unknown word is followed by the help" has "Usage: ... carp"
refuses "does not know the word \"$long\"" "$long"
refuses "Usage: ... carp" help

out=$(echo "link add carp0 type carp passfile -" | run_ip -batch -) || true
fine "passfile - in a batch" has '"passfile -" cannot be used in a batch'

out=$(run_ip link help carp)
for word in carpnodes balancing ip-stealth carppeer -carppeer minttl announce group -group \
	linklocal demoteskew vhid carpdev -carpdev advbase advskew pass passfile state backup master \
	1-255 0-254 0-19 "Default: 1." "Default: 0." "list of processes"; do
	fine "the help names: $word" has "$word"
done

# --- from attributes to words

common=$(attr $STATE "$(u8 2)")$(attr $VHID "$(u8 1)")$(attr $CARPDEV "$(u32 1)")
common+=$(attr $ADVBASE "$(u8 1)")$(attr $ADVSKEW "$(u8 100)")$(attr $DEMOTE "$(u32 70000)")

text_line="    carp state MASTER vhid 1 carpdev lo advbase 1 advskew 100 demote 70000 "
json_data='"info_kind":"carp","info_data":{"state":"master","vhid":1,"carpdev":"lo","advbase":1,"advskew":100,"demote":70000'
shown "$common"
shows "$text_line"
fine "colour 6 is none" has_not $'\e'
shown "$common" -c=always
shows "$text_line"
shown "$common" -j
shows "$json_data}"

# The phrase is never in a dump; if it were, nobody would see it.
shown "$common$(attr $PASS "$(text secret)")$(attr 63 "$(u64 1)")" -j -s
shows "$json_data}"

shown "$(attr $STATE "$(u8 0)")$(attr $CARPDEV "$(u32 0)")"
shows "    carp state INIT "
fine "without a parent no carpdev is shown" has_not carpdev
shown "$(attr $STATE "$(u8 1)")" -j
shows '"info_data":{"state":"backup"}'
shown "$(attr $STATE "$(u8 7)")$(attr $VHID "$(u32 1)")$(attr $DEMOTE "$(u8 1)")" -j
shows '"info_data":{"state":"7"}'
shown "$(attr $CARPDEV "$(u32 999999)")" -j
shows '"info_data":{"carpdev":"if999999"}'
shown none
shows "    carp "

names=(rx_ipv4 rx_ipv6 rx_bad_interface rx_bad_ttl rx_short rx_bad_checksum
	rx_bad_version rx_bad_length rx_bad_auth rx_bad_vhid rx_bad_address_list
	tx_ipv4 tx_ipv6 tx_no_memory tx_error tx_state_updates preempt rx_echo
	rx_not_allowed rx_auth_good rx_auth_missing rx_auth_malformed rx_auth_unknown_key
	rx_auth_stale rx_auth_replayed rx_auth_bad_hmac)
stats=$(counters "${names[@]}")
one_node=$(nest $CARPNODES "$(node 1 100 2)")$(attr $BALANCING "$(u8 0)")$(nest $CARPPEERS "")
one_node+=$(attr $MINTTL "$(u8 255)")$(attr $ANNOUNCE "$(u8 0)")$(attr $LINKLOCAL "$(u8 0)")$(attr $DEMOTESKEW "$(u8 1)")
one_node+=$(nest $JOINED "$(attr $GROUP "$(text carp)00")")
one_node+=$(nest $ADDRESSES "$(attr $ADDRESS "$(ipv4 10.0.0.1)")")
shown "$common$one_node"
shows "    carp state MASTER vhid 1 carpdev lo advbase 1 advskew 100 demote 70000 groups carp "
fine "what is as usual is not in text" has_not 10.0.0.1
shown "$common$one_node" -j
shows '"balancing":"none","carppeer":[],"minttl":255,"linklocal":false,"demoteskew":true,"announce":0,"demote":70000,"groups":["carp"],"carpnodes":[{"state":"master","vhid":1,"advskew":100}],"addresses":["10.0.0.1"]}'
several=$(attr $STATE "$(u8 2)")$(attr $VHID "$(u8 1)")$(attr $CARPDEV "$(u32 5)")$(attr $ADVBASE "$(u8 1)")
several+=$(attr $ADVSKEW "$(u8 0)")$(attr $BALANCING "$(u8 3)")$(attr $CARPDEV_NETNSID "$(u32 7)")
several+=$(nest $CARPNODES "$(node 1 0 2)$(node 2 100 1)")$(attr $MINTTL "$(u8 64)")$(attr $ANNOUNCE "$(u8 60)")
several+=$(nest $CARPPEERS "$(attr $PEER "$(ipv4 10.0.0.3)")$(attr $PEER 20010db8000000000000000000000003)")
several+=$(attr $LINKLOCAL "$(u8 1)")$(attr $DEMOTESKEW "$(u8 0)")$(attr $DEMOTE "$(u32 2)")
several+=$(nest $JOINED "$(attr $GROUP "$(text carp)00")$(attr $GROUP "$(text internal)00")")
several+=$(nest $ADDRESSES "$(attr $ADDRESS "$(ipv4 10.0.0.1)")$(attr $ADDRESS 20010db8000000000000000000000001)$(attr $ADDRESS 00)")
several+=$(attr $DIGEST_DIFFERS "$(u32 1500)")$(attr $ADDRESS_COUNT "$(u32 40)")
shown "$several"
shows "    carp state MASTER carpdev if5 carpdev-netnsid 7 advbase 1 balancing ip-stealth carppeer 10.0.0.3,2001:db8::3 minttl 64 linklocal -demoteskew announce 60 demote 2 groups carp,internal "
shows $'\n      state MASTER vhid 1 advskew 0 \n      state BACKUP vhid 2 advskew 100 \n'
shows "      digest differs: address list or passphrase; addresses 10.0.0.1,2001:db8::1 and 37 more "
shown "$several" -j
shows '"info_data":{"state":"master","vhid":1,"carpdev":"if5","carpdev_netnsid":7,"advbase":1,"advskew":0,"balancing":"ip-stealth","carppeer":["10.0.0.3","2001:db8::3"],"minttl":64,"linklocal":true,"demoteskew":false,"announce":60,"demote":2,"groups":["carp","internal"],"carpnodes":[{"state":"master","vhid":1,"advskew":0},{"state":"backup","vhid":2,"advskew":100}],"address_count":40,"digest_differs":1500,"addresses":["10.0.0.1","2001:db8::1"]}'
shown "$several" -o
fine "one line is one line" [ "$(wc -l <<<"$out")" -eq 1 ]
shown "$(attr $BALANCING "$(u8 9)")$(nest $CARPNODES "")$(nest $JOINED "")$(nest $CARPPEERS "00")" -j
shows '"info_data":{"balancing":"9","carppeer":[],"groups":[],"carpnodes":[]}'

with_stats=$common$(attr $((STATS | NESTED)) "$stats")
shows_counters "$with_stats" "${names[@]}"
shown "$with_stats" -s -j
shows "$json_data,\"stats\":{\"rx_ipv4\":"
shown "$with_stats" -j
shows "$json_data}"

# The window that is the default is no word: three of the longest interval, in whole seconds.
window() { # ADVBASE ADVSKEW SECONDS
	shown "$(attr $ADVBASE "$(u8 "$1")")$(attr $ADVSKEW "$(u8 0)")$(nest $CARPNODES "$(node 1 0)$(node 2 "$2")")$(attr 25 "$(u8 1)")$(attr 29 "$(u32 "$3")")"
}
for usual in "1 0 5" "1 170 5" "1 171 6" "2 1 7" "100 0 300"; do
	read -r advbase advskew seconds <<<"$usual"
	window "$advbase" "$advskew" "$seconds"
	fine "a window by default: $usual" has_not authwindow
	window "$advbase" "$advskew" $((seconds - 1))
	shows "auth receive authwindow $((seconds - 1)) "
done
