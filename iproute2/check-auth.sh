# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154,SC2034
# What check does for authentication of whole packets, for each kind.

case $kind in
carp) AUTH=25 ;;
pfsync) AUTH=18 ;;
esac
KEYS=$((AUTH + 1)) REMOVE=$((AUTH + 2)) ACTIVE=$((AUTH + 3)) WINDOW=$((AUTH + 4)) MONOTONIC=$((AUTH + 5))
# the element of the nest, and what is in it
KEY=5 KEY_ID=1 KEY_SECRET=2

key() { # ID [SECRET]
	nest $KEY "$(attr $KEY_ID "$(u8 "$1")")${2:+$(attr $KEY_SECRET "$2")}"
}
line='32 characters, and not one less.'
file=$tmp/key
give() { # BYTES: as the user's file
	bytes "$1" >"$file"
}

# --- from words to attributes

number=0
for mode in off receive permissive enforce; do
	sends "$(attr "$AUTH" "$(u8 $number)")" auth $mode
	number=$((number + 1))
done
sends "$(attr "$ACTIVE" "$(u8 255)")" authactive 255
sends "$(attr "$ACTIVE" "$(u8 0)")" -authactive
sends "$(attr "$WINDOW" "$(u32 300)")" authwindow 300
# more than the kernel takes
sends "$(attr "$WINDOW" "$(u32 70000)")" authwindow 70000
sends "$(attr "$MONOTONIC" "$(u8 1)")" authmonotonic
sends "$(attr "$MONOTONIC" "$(u8 0)")" authtime
sends "$(attr "$REMOVE" "$(u8 7)")" -authkey 7

is_key() { # WHAT SECRET BYTES: what a file of these bytes is taken for
	give "$3"
	add authkey 1 "$file" </dev/null
	fine "a key file: $1" succeeded_with "$(attr "$IFLA_INFO_DATA" "$(nest "$KEYS" "$(key 1 "$2")")")"$'\n'
}
touch "$file"
chmod 600 "$file"
raw32=00ff0a0d$(text "${line:0:28}") raw64=$raw32${raw32//0a/0b}
is_key "raw" "$raw32" "$raw32"
is_key "raw, the longest" "$raw64" "$raw64"
is_key "raw, and the last byte looks like a line's end" "${raw32}0a" "${raw32}0a"
is_key "raw, and the first line ends early" "$(text short)0a$raw32" "$(text short)0a$raw32"
is_key "raw, for a carriage return is not text" "$(text "$line")0d0a" "$(text "$line")0d0a"
is_key "a line" "$(text "$line")" "$(text "$line")0a"
is_key "a line without an end" "$(text "$line")" "$(text "$line")"
is_key "two lines" "$(text "$line")0a0a" "$(text "$line")0a0a"
digits=$(text "$line")
is_key "hexadecimal" "$digits" "$(text "hex:$digits")"
is_key "hexadecimal, as a line" "$digits" "$(text "hex:$digits")0a"
is_key "hexadecimal, in upper case and lines" "$digits" "$(text "hex: ${digits^^}" | sed 's/4[46]$/&0d0a09/')0a"
fine "no warning of a key file that others cannot read" has_not Warning
chmod 640 "$file"
is_key "others can read it" "$digits" "$digits"
fine "a warning of a key file that others can read" has "Warning: others than its owner can read or write \"$file\", which holds a key: chmod it to 600"
chmod 600 "$file"

give "$raw64"
cp -p "$file" "$file.2"
give "$raw32"
sends "$(attr "$ACTIVE" "$(u8 2)")$(attr "$AUTH" "$(u8 3)")$(nest "$KEYS" "$(key 1 "$raw32")$(key 2 "$raw64")")" \
	authkey 1 "$file" authactive 2 authkey 2 "$file.2" auth enforce
eight=() nests=
for i in {1..8}; do
	eight+=(authkey "$i" "$file.2")
	nests+=$(key "$i" "$raw64")
done
sends "$(nest "$KEYS" "$nests")" "${eight[@]}"
refuses 'a command takes at most 8 times "authkey"' "${eight[@]}" authkey 9 "$file"
add authkey 1 - < <(echo "$line")
fine "authkey -" has "$(attr "$IFLA_INFO_DATA" "$(nest "$KEYS" "$(key 1 "$(text "$line")")")")"

refuses '"auth" value "on" is invalid: off, receive, permissive or enforce is expected.' auth on
refuses '"authkey" value "256" is invalid: a number of 1-255 is expected.' authkey 256 "$file"
refuses '"authkey" value "" is invalid' authkey "" "$file"
refuses '"-authkey" value "x" is invalid: a number of 1-255 is expected.' -authkey x
refuses '"-authkey" can be said once in a command: one key after the other.' -authkey 1 -authkey 2
refuses '"authactive" value "256" is invalid: a number of 1-255 is expected.' authactive 256
refuses '"authwindow" value "5s" is invalid: a number of 1-300 is expected.' authwindow 5s
refuses 'duplicate "-authactive"' authactive 1 -authactive
refuses 'duplicate "authtime"' authmonotonic authtime
refuses 'duplicate "auth"' auth off auth off
for word in auth authkey -authkey authactive authwindow; do
	refuses "\"$word\" needs a value" $word
done
refuses '"authkey" needs an id and a file' authkey 1
refuses "\"authkey\" cannot read \"$tmp/none\": No such file" authkey 1 "$tmp/none"
refuses '"authkey" cannot read "/": Is a directory' authkey 1 /
refuses 'the key in "/dev/null" has 0 bytes: 32-64 are expected.' authkey 1 /dev/null
refuses 'the key in "-" has 0 bytes: 32-64 are expected.' authkey 1 -
give "$(text "${line:1}")0a"
refuses "the key in \"$file\" has 31 bytes: 32-64 are expected." authkey 1 "$file"
fine "an error does not show the key" has_not characters
give "${raw64}00"
refuses "the key in \"$file\" has 65 bytes: 32-64 are expected." authkey 1 "$file"
give "$(text "hex:${digits}0")"
refuses "the key in \"$file\" is invalid: pairs of hexadecimal digits are expected after \"hex:\"." authkey 1 "$file"
give "$(text "hex:${digits:2}g0")"
refuses "the key in \"$file\" is invalid" authkey 1 "$file"
give "$(text "hex:$digits")00"
refuses "the key in \"$file\" is invalid" authkey 1 "$file"
give "$(text "hex:${digits:2}")"
refuses "the key in \"$file\" has 31 bytes: 32-64 are expected." authkey 1 "$file"
refuses '"/dev/zero" is too long for a key, which has 32-64 bytes.' authkey 1 /dev/zero

out=$(echo "link add $LINK type $kind authkey 1 -" | run_ip -batch -) || true
fine "authkey - in a batch" has '"authkey -" cannot be used in a batch'

out=$(run_ip link help "$kind")
for word in "auth {" receive permissive enforce "authkey ID FILE" "-authkey ID" authactive -authactive \
	authwindow authtime authmonotonic 32-64 1-300; do
	fine "the help names: $word" has "$word"
done

# --- from attributes to words

off=$(attr "$AUTH" "$(u8 0)")$(attr "$MONOTONIC" "$(u8 0)")$(attr "$WINDOW" "$(u32 5)")
two=$(nest "$KEYS" "$(key 1)$(key 2)")
shown "$off"
shows "    $kind "
fine "authentication that is off is not shown" has_not auth
shown "$off" -j
shows '"auth":"off","authactive":0,"authkeys":[],"authwindow":5,"authmonotonic":false'
shown "$off$two"
shows "    $kind auth off authkeys 1,2 "
on=$(attr "$AUTH" "$(u8 3)")$(attr "$MONOTONIC" "$(u8 1)")$(attr "$WINDOW" "$(u32 60)")$(attr "$ACTIVE" "$(u8 1)")$two
shown "$on"
shows "    $kind auth enforce authactive 1 authkeys 1,2 authwindow 60 authmonotonic "
shown "$on" -j
shows '"auth":"enforce","authactive":1,"authkeys":[1,2],"authwindow":60,"authmonotonic":true'
shown "$(attr "$AUTH" "$(u8 2)")$(attr "$MONOTONIC" "$(u8 0)")$(attr "$WINDOW" "$(u32 5)")$(attr "$ACTIVE" "$(u8 1)")$(nest "$KEYS" "$(key 1)")"
shows "    $kind auth permissive authactive 1 authkeys 1 "
fine "the usual window is not shown" has_not authwindow
# A key is never in a dump; if it were, nobody would see it.
shown "$(attr "$AUTH" "$(u8 9)")$(nest "$KEYS" "$(key 1 "$raw32")$(attr "$KEY" 00)")"
shows "    $kind auth 9 authkeys 1 "
