# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
# What check does for link_pfsync.so.

# The numbers of if_pfsync.h are written out: a change of them breaks user space.
SYNCDEV=1 SYNCPEER=2 MAXUPD=3 DEFER=4 NOSYNC_MARK=5 NOSYNC_MASK=6 NOSYNC_ZONE=7 TABLE=8
BULK=9 DEMOTE=10 STATES=11 QUEUED=12 UNCONFIRMED=13 STATS=14 BULKWAIT=15 LOCAL=16 ESTABLISHED=17

# --- from words to attributes

marks() { # VALUE MASK
	attr $NOSYNC_MARK "$(u32 "$1")"
	attr $NOSYNC_MASK "$(u32 "$2")"
}

sends "$(attr $SYNCDEV "$(u32 1)")" syncdev lo
sends "$(attr $SYNCDEV "$(u32 0)")" syncdev none
sends "$(attr $SYNCDEV "$(u32 0)")" -syncdev
sends "$(attr $SYNCPEER "$(ipv4 172.16.1.2)")" syncpeer 172.16.1.2
sends "$(attr $SYNCPEER 20010db8000000000000000000000003)" syncpeer 2001:db8::3
sends "$(attr $SYNCPEER "")" -syncpeer
sends "$(attr $MAXUPD "$(u8 255)")" maxupd 255
# The kernel's sentence is what the user reads.
sends "$(attr $MAXUPD "$(u8 0)")" maxupd 0
sends "$(attr $MAXUPD "$(u8 128)")" -maxupd
sends "$(attr $DEFER "$(u8 1)")" defer
sends "$(attr $DEFER "$(u8 1)")" defer on
sends "$(attr $DEFER "$(u8 0)")" defer off
sends "$(attr $DEFER "$(u8 0)")" -defer
sends "$(attr $DEFER "$(u8 1)")$(attr $MAXUPD "$(u8 7)")" defer maxupd 7
sends "$(attr $LOCAL "$(u8 1)")" local
sends "$(attr $LOCAL "$(u8 0)")" -local
sends "$(attr $ESTABLISHED "$(u8 1)")" established
sends "$(attr $ESTABLISHED "$(u8 0)")" -established
sends "$(attr $BULKWAIT "$(u8 0)")" bulkwait 0
sends "$(attr $BULKWAIT "$(u8 40)")" -bulkwait
sends "$(marks 16 4294967295)" nosync-mark 16
sends "$(marks 10 4294967295)" nosync-mark 010
sends "$(marks 4294967295 4294967295)" nosync-mark 0xffffffff
sends "$(marks 16 240)" nosync-mark 0x10/0xF0
sends "$(marks 0 1)" nosync-mark 0/1
sends "$(marks 0 0)" -nosync-mark
sends "$(attr $NOSYNC_ZONE "$(u16 1)")" nosync-zone 1
sends "$(attr $NOSYNC_ZONE "$(u16 65535)")" nosync-zone 65535
sends "$(attr $NOSYNC_ZONE "$(u16 0)")" -nosync-zone
sends "$(attr $TABLE "$(text memory)00")" table memory
sends "$(attr $SYNCDEV "$(u32 1)")$(attr $SYNCPEER "$(ipv4 172.16.1.2)")$(attr $MAXUPD "$(u8 128)")$(attr $DEFER "$(u8 1)")" \
	syncdev lo syncpeer 172.16.1.2 maxupd 128 defer

long=$(printf '%0300d' 0)
for value in "" 172.16.1 172.16.1.2/24 172.16.1.2,172.16.1.3 fe80::1%eth0 peer "$long"; do
	refuses ' is invalid: an IPv4 or IPv6 address is expected.' syncpeer "$value"
done
for value in "" 256 -1 1x 0x10; do
	refuses "\"maxupd\" value \"$value\" is invalid: a number of 1-255 is expected." maxupd "$value"
done
for value in "" 256 -1 1s; do
	refuses "\"bulkwait\" value \"$value\" is invalid: a number of 0-255 is expected." bulkwait "$value"
done
for value in "" x 0x 1/ /1 1/2/3 4294967296 1/0 0/0 2/1 -1 0x1/x; do
	refuses "\"nosync-mark\" value \"$value\" is invalid: VALUE or VALUE/MASK" nosync-mark "$value"
done
for value in "" 0 65536 -1 x; do
	refuses "\"nosync-zone\" value \"$value\" is invalid: a number of 1-65535 is expected." nosync-zone "$value"
done
for value in "" "$long"; do
	refuses "\"table\" value \"$value\" is invalid: a name is expected." table "$value"
done
refuses 'Cannot find device "no-such-device"' syncdev no-such-device
refuses 'duplicate "-syncdev"' syncdev lo -syncdev
refuses 'duplicate "-syncpeer"' syncpeer 10.0.0.1 -syncpeer
refuses 'duplicate "-maxupd"' maxupd 1 -maxupd
refuses 'duplicate "-defer"' defer -defer
refuses 'duplicate "-local"' local -local
refuses 'duplicate "established"' -established established
refuses 'duplicate "-bulkwait"' bulkwait 9 -bulkwait
refuses 'duplicate "-nosync-mark"' nosync-mark 1 -nosync-mark
refuses 'duplicate "nosync-zone"' -nosync-zone nosync-zone 1
for word in syncdev syncpeer maxupd bulkwait nosync-mark nosync-zone table; do
	refuses "\"$word\" needs a value" $word
done
refuses 'pfsync does not know the word "vhid"' syncdev lo vhid 1
fine "an unknown word is followed by the help" has "Usage: ... pfsync"
refuses 'does not know the word "yes"' defer yes
refuses "Usage: ... pfsync" help

out=$(run_ip link help pfsync)
for word in syncdev -syncdev syncpeer -syncpeer maxupd -maxupd defer -defer local -local established -established \
	bulkwait -bulkwait 0-255 "Default: 40" nosync-mark \
	-nosync-mark nosync-zone -nosync-zone table 1-255 1-65535 224.0.0.240 "Default: 128" \
	"Default: conntrack"; do
	fine "the help names: $word" has "$word"
done

# --- from attributes to words

usual=$(attr $SYNCDEV "$(u32 0)")$(attr $SYNCPEER "")$(attr $MAXUPD "$(u8 128)")$(attr $DEFER "$(u8 0)")
usual+=$(attr $LOCAL "$(u8 0)")$(attr $ESTABLISHED "$(u8 0)")$(attr $BULKWAIT "$(u8 40)")
usual+=$(marks 0 0)$(attr $NOSYNC_ZONE "$(u16 0)")$(attr $TABLE "$(text conntrack)00")
usual+=$(attr $BULK "$(u8 0)")$(attr $DEMOTE "$(u32 0)")$(attr $STATES "$(u32 0)")
usual+=$(attr $QUEUED "$(u32 0)")$(attr $UNCONFIRMED "$(u32 0)")
shown "$usual"
shows "    pfsync maxupd 128 bulk down demote 0 states 0 queued 0 unconfirmed 0 "
for word in syncdev syncpeer nosync table defer local established bulkwait; do
	fine "what is as usual is not in text: $word" has_not $word
done
shown "$usual" -j
shows '"info_kind":"pfsync","info_data":{"maxupd":128,"defer":false,"local":false,"established":false,"bulkwait":40,"table":"conntrack","bulk":"down","demote":0,"states":0,"queued":0,"unconfirmed":0}'

given=$(attr $SYNCDEV "$(u32 1)")$(attr $SYNCPEER "$(ipv4 172.16.1.2)")$(attr $MAXUPD "$(u8 1)")$(attr $DEFER "$(u8 1)")
given+=$(attr $LOCAL "$(u8 1)")$(attr $ESTABLISHED "$(u8 1)")$(attr $BULKWAIT "$(u8 90)")
given+=$(marks 16 240)$(attr $NOSYNC_ZONE "$(u16 7)")$(attr $TABLE "$(text memory)00")
given+=$(attr $BULK "$(u8 4)")$(attr $DEMOTE "$(u32 33)")$(attr $STATES "$(u32 100000)")
given+=$(attr $QUEUED "$(u32 5)")$(attr $UNCONFIRMED "$(u32 6)")
text_line="    pfsync syncdev lo syncpeer 172.16.1.2 maxupd 1 defer local established bulkwait 90 nosync-mark 0x10/0xf0 nosync-zone 7 table memory bulk done demote 33 states 100000 queued 5 unconfirmed 6 "
json_data='"info_data":{"syncdev":"lo","syncpeer":"172.16.1.2","maxupd":1,"defer":true,"local":true,"established":true,"bulkwait":90,"nosync_mark":"0x10","nosync_mask":"0xf0","nosync_zone":7,"table":"memory","bulk":"done","demote":33,"states":100000,"queued":5,"unconfirmed":6'
shown "$given"
shows "$text_line"
shown "$given" -j
shows "$json_data}"
shown "$given" -o
fine "one line is one line" [ "$(wc -l <<<"$out")" -eq 1 ]

shown "$(marks 1 4294967295)$(attr $SYNCPEER 20010db8000000000000000000000003)"
shows "    pfsync syncpeer 2001:db8::3 nosync-mark 0x1 "
shown "$(marks 1 4294967295)" -j
shows '"info_data":{"nosync_mark":"0x1","nosync_mask":"0xffffffff"}'
number=0
for bulk in down no-link asking receiving "done" 5; do
	shown "$(attr $BULK "$(u8 $number)")" -j
	shows "\"info_data\":{\"bulk\":\"$bulk\"}"
	number=$((number + 1))
done
shown "$(attr $SYNCDEV "$(u32 999999)")$(attr $SYNCPEER "0102")$(attr $TABLE "$(text open)")$(attr $MAXUPD "$(u32 1)")" -j
shows '"info_data":{"syncdev":"if999999"}'
shown none
shows "    pfsync "

names=(ipackets ipackets6 badif badttl hdrops badver badauth badact badlen badval stale
	badstate skipped opackets opackets6 onomem oerrors inserted updated deleted
	acknowledged requested full sent_inserts sent_updates sent_compressed sent_deletes
	sent_acks sent_requests repeated unanswered deferred undeferred bulk_asked
	bulk_answered bulk_received conflicts auth_good auth_missing
	auth_malformed auth_unknown_key auth_stale auth_replayed auth_bad_hmac)
with_stats=$given$(nest $STATS "$(counters "${names[@]}")")
shows_counters "$with_stats" "${names[@]}"
shown "$with_stats" -s -j
shows "$json_data,\"stats\":{\"ipackets\":"
shown "$with_stats" -j
shows "$json_data}"
