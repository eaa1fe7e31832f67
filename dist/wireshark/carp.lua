-- SPDX-License-Identifier: GPL-2.0
--
-- Dissectors for Wireshark and tshark, 4.0 or later: advertisements of CARP (IP protocol
-- 112, which VRRP has as well), and frames of pfsync version 6 (IP protocol 240) with the
-- messages that Linux hosts add; docs/pfsync-linux.md describes those.
--
--     tshark -X lua_script:carp.lua -ni eth0 'proto 112 or proto 240'
--
-- The fields are carp2.* and pfsync.*; Wireshark's own carp.* has no demotion.

-- Fields are made where they are described: a layout is a list of them, in the order in which
-- they lie in a message.
local carp = Proto("carp2", "CARP")
local pfsync = Proto("pfsync", "pfsync")

local function names(...)
	local list = {}
	for number, name in ipairs({...}) do list[number - 1] = name end
	return list
end

local fields = {carp2 = {}, pfsync = {}}

-- new("carp2.vhid", "uint8", "Virtual host"): a field, with what ProtoField wants to know.
local function new(name, kind, label, ...)
	local list = fields[name:match("^[^.]+")]
	if not list[name] then list[name] = ProtoField[kind](name, label, ...) end
	return list[name]
end

local SIZES = {uint8 = 1, uint16 = 2, uint32 = 4, int32 = 4, uint64 = 8}

-- Each line: name below `prefix`, kind, label, and for bytes and text the size. A name of
-- false: bytes that mean nothing.
local function layout(prefix, lines)
	local made = {size = 0}
	for _, line in ipairs(lines) do
		local name, kind, label, more, values = line[1], line[2], line[3], line[4], line[5]
		local size = SIZES[kind] or more
		if name then
			local field
			if SIZES[kind] then
				field = new(prefix .. name, kind, label, more or base.DEC, values)
			else
				field = new(prefix .. name, kind, label)
			end
			made[#made + 1] = {field = field, offset = made.size, size = size, name = name, kind = kind}
		end
		made.size = made.size + size
	end
	return made
end

-- Adds all fields of a layout; returns what they say, by their names.
local function add_layout(tree, made, range)
	local said = {}
	for _, it in ipairs(made) do
		local part = range(it.offset, it.size)
		if it.kind == "string" then
			said[it.name] = part:stringz()
			tree:add(it.field, part, said[it.name])
		else
			tree:add(it.field, part)
			if it.size < 8 then said[it.name] = part:uint() end
		end
	end
	return said
end

-- Ones' complement sum, as of IP.
local function sum(range)
	local total = 0
	for offset = 0, range:len() - 2, 2 do total = total + range(offset, 2):uint() end
	while total > 0xffff do total = total % 0x10000 + math.floor(total / 0x10000) end
	return total
end

------------------------------------------------------------------------------------ CARP

local CARP_SIZE, TRAILER_SIZE = 36, 28

local advertisement = layout("carp2.", {
	{"version_type", "uint8", "Version and type", base.HEX},
	{"vhid", "uint8", "Virtual host"},
	{"advskew", "uint8", "advskew (1/256 s)"},
	{"authlen", "uint8", "Words of counter and digest"},
	{"demote", "uint8", "Demotion"},
	{"advbase", "uint8", "advbase (s)"},
	{"checksum", "uint16", "Checksum", base.HEX},
	{"counter", "bytes", "Counter", 8},
	{"digest", "bytes", "HMAC-SHA1", 20},
})
local trailer = layout("carp2.auth.", {
	{"type", "uint8", "Type", nil, {[1] = "HMAC-SHA256, 128 bits"}},
	{"key", "uint8", "Key"},
	{"neutral", "uint16", "Makes the sum neutral", base.HEX},
	{"seconds", "uint32", "Seconds since 1970"},
	{"fraction", "uint16", "1/65536 s"},
	{"sequence", "uint16", "Within one moment"},
	{"hmac", "bytes", "HMAC", 16},
})
local interval = new("carp2.interval", "double", "Interval (s)")
local bow_out = new("carp2.bow_out", "bool", "The master bows out")
local checksum_good = new("carp2.checksum_good", "bool", "Checksum is right")
local auth_time = new("carp2.auth.time", "absolute_time", "Time", base.UTC)
local rest_field = new("carp2.rest", "bytes", "What no version knows")
local bad_checksum = ProtoExpert.new("carp2.bad_checksum", "The checksum is wrong",
	expert.group.CHECKSUM, expert.severity.ERROR)
local bad_trailer = ProtoExpert.new("carp2.auth.bad_sum", "The trailer's sum is not neutral",
	expert.group.MALFORMED, expert.severity.ERROR)

-- VRRP version 2 begins with the same byte. There the fourth one is the number of addresses,
-- which is 7 in a packet of 44 bytes.
local function is_carp(tvb)
	if tvb:len() < CARP_SIZE or tvb(0, 1):uint() ~= 0x21 or tvb(3, 1):uint() ~= 7 then
		return false
	end
	if tvb:len() == CARP_SIZE or tvb:len() == CARP_SIZE + TRAILER_SIZE then return true end
	return tvb:len() ~= 44 and sum(tvb(0, CARP_SIZE)) == 0xffff
end

local function add_trailer(tree, range)
	local below = tree:add(range, "Authentication")
	local said = add_layout(below, trailer, range)
	local time = NSTime.new(said.seconds, math.floor(said.fraction * 1e9 / 65536))
	below:add(auth_time, range(4, 6), time):set_generated()
	if sum(range) ~= 0xffff then below:add_tvb_expert_info(bad_trailer, range(2, 2)) end
	return said
end

function carp.dissector(tvb, pinfo, tree)
	if not is_carp(tvb) then
		local vrrp = Dissector.get("vrrp")
		if not pcall(vrrp.call, vrrp, tvb, pinfo, tree) then
			pinfo.cols.info:append(" [malformed]")
		end
		return tvb:len()
	end
	pinfo.cols.protocol = "CARP"
	local top = tree:add(carp, tvb())
	local said = add_layout(top, advertisement, tvb(0, CARP_SIZE))
	top:add(interval, tvb(5, 1), said.advbase + said.advskew / 256):set_generated()
	local bows_out = said.advbase == 255 and said.advskew == 255
	top:add(bow_out, tvb(5, 1), bows_out):set_generated()
	local good = sum(tvb(0, CARP_SIZE)) == 0xffff
	top:add(checksum_good, tvb(6, 2), good):set_generated()
	if not good then top:add_tvb_expert_info(bad_checksum, tvb(6, 2)) end
	local info = string.format("vhid %d advbase %d advskew %d demote %d",
		said.vhid, said.advbase, said.advskew, said.demote)
	if bows_out then info = info .. ", bows out" end
	local length = CARP_SIZE
	if tvb:len() >= CARP_SIZE + TRAILER_SIZE and tvb(CARP_SIZE, 1):uint() == 1 then
		local auth = add_trailer(top, tvb(CARP_SIZE, TRAILER_SIZE))
		info = info .. ", key " .. auth.key
		length = length + TRAILER_SIZE
	end
	if tvb:len() > length then top:add(rest_field, tvb(length)) end
	if not good then info = info .. " [bad checksum]" end
	pinfo.cols.info = info
	top:append_text(", " .. info)
	return tvb:len()
end

---------------------------------------------------------------------------------- pfsync

local AF_INET, AF_INET6 = 2, 24
local TCP, SCTP, GRE = 6, 132, 47
local PROTOCOLS = {[1] = "icmp", [6] = "tcp", [17] = "udp", [33] = "dccp", [47] = "gre",
	[50] = "esp", [58] = "ipv6-icmp", [132] = "sctp", [136] = "udplite"}
local DIRECTIONS = {[1] = "in", [2] = "out"}
local CLASSES = names("tcp.first", "tcp.opening", "tcp.established", "tcp.closing",
	"tcp.finwait", "tcp.closed", "udp.first", "udp.single", "udp.multiple", "icmp.first",
	"icmp.error", "other.first", "other.single", "other.multiple")
local CONNTRACK_TCP = names("none", "syn_sent", "syn_recv", "established", "fin_wait",
	"close_wait", "last_ack", "time_wait", "close", "syn_sent2")
local header = layout("pfsync.", {
	{"version", "uint8", "Version"},
	{false, "bytes", "", 1},
	{"length", "uint16", "Length"},
	{"ruleset", "bytes", "Checksum of the ruleset", 16},
})
local ACTIONS = {[0] = "CLR", [1] = "OINS", [2] = "INS_ACK", [3] = "OUPD", [4] = "UPD_C",
	[5] = "UPD_REQ", [6] = "DEL", [7] = "DEL_C", [8] = "INS_F", [9] = "DEL_F", [10] = "BUS",
	[11] = "OTDB", [12] = "EOF", [13] = "INS", [14] = "UPD", [15] = "TDB", [193] = "EXTRA",
	[194] = "EXPECT", [195] = "COMPACT", [196] = "NUMBER", [197] = "ARRIVED"}
local section = layout("pfsync.", {
	{"action", "uint8", "Action", nil, ACTIONS},
	{"words", "uint8", "Words of a message"},
	{"count", "uint16", "Messages"},
})
local name_layout = {
	{"id", "uint64", "Id", base.HEX},
	{"creatorid", "uint32", "Creator", base.HEX},
}
local name = layout("pfsync.", name_layout)
local peer = layout("pfsync.peer.", {
	{"scrub_flags", "uint16", "Scrub flags", base.HEX},
	{"scrub_ttl", "uint8", "Scrub TTL"},
	{"scrub_valid", "uint8", "Scrub is valid"},
	{"ts_mod", "uint32", "Timestamp modulation", base.HEX},
	{"seqlo", "uint32", "Highest sequence number sent"},
	{"seqhi", "uint32", "Highest one that may be sent"},
	{"seqdiff", "uint32", "Sequence number modulation"},
	{"max_win", "uint16", "Greatest window"},
	{"mss", "uint16", "MSS"},
	{"state", "uint8", "State"},
	{"wscale", "uint8", "Window scale", base.HEX},
	{false, "bytes", "", 6},
})
local key_ends = layout("pfsync.key.", {
	{"port0", "uint16", "Far port"},
	{"port1", "uint16", "Near port"},
	{"rdomain", "uint16", "Routing domain"},
	{"family", "uint8", "Address family"},
	{false, "bytes", "", 1},
})
local state_head = layout("pfsync.", {
	{"id", "uint64", "Id", base.HEX},
	{"ifname", "string", "Interface", 16},
})
local state_tail = layout("pfsync.", {
	{"rtaddr", "bytes", "Route-to address", 16},
	{"rule", "uint32", "Rule", base.HEX},
	{"anchor", "uint32", "Anchor", base.HEX},
	{"nat_rule", "uint32", "Nat rule", base.HEX},
	{"creation", "uint32", "Seconds since it was made"},
	{"expire", "uint32", "Seconds until it expires"},
	{"packets0", "uint64", "Packets of the initiator"},
	{"packets1", "uint64", "Packets of the other side"},
	{"bytes0", "uint64", "Bytes of the initiator"},
	{"bytes1", "uint64", "Bytes of the other side"},
	{"creatorid", "uint32", "Creator", base.HEX},
	{"rtableid0", "int32", "Routing table of the initiator"},
	{"rtableid1", "int32", "Routing table of the other side"},
	{"max_mss", "uint16", "Greatest MSS"},
	{"family", "uint8", "Address family"},
	{"proto", "uint8", "Protocol", nil, PROTOCOLS},
	{"direction", "uint8", "Direction", nil, DIRECTIONS},
	{"log", "uint8", "Log"},
	{"rt", "uint8", "Kind of route-to"},
	{"timeout", "uint8", "Timeout class", nil, CLASSES},
	{"sync_flags", "uint8", "Sync flags", base.HEX},
	{"updates", "uint8", "Updates"},
	{"min_ttl", "uint8", "Least TTL"},
	{"tos", "uint8", "TOS", base.HEX},
	{"state_flags", "uint16", "State flags", base.HEX},
	{"prio0", "uint8", "Priority"},
	{"prio1", "uint8", "Priority of the other side"},
})
local update_head = layout("pfsync.", {name_layout[1]})
local update_tail = layout("pfsync.", {
	{"creatorid", "uint32", "Creator", base.HEX},
	{"expire", "uint32", "Seconds until it expires"},
	{"timeout", "uint8", "Timeout class", nil, CLASSES},
	{"update_flags", "uint8", "State flags", base.HEX},
	{false, "bytes", "", 2},
})
local clear = layout("pfsync.", {
	{"ifname", "string", "Interface", 16},
	{"creatorid", "uint32", "Creator", base.HEX},
})
local bulk = layout("pfsync.", {
	{"creatorid", "uint32", "Creator", base.HEX},
	{"endtime", "uint32", "End time"},
	{"bulk", "uint8", "Bulk update", nil, {[1] = "start", [2] = "end"}},
	{false, "bytes", "", 3},
})
local tdb = layout("pfsync.tdb.", {
	{"spi", "uint32", "SPI", base.HEX},
	{"destination", "bytes", "Destination (sockaddr)", 28},
	{"replay", "uint64", "Replay counter"},
	{"bytes", "uint64", "Bytes"},
	{"proto", "uint8", "Protocol", nil, {[50] = "esp", [51] = "ah"}},
	{"updates", "uint8", "Updates"},
	{"rdomain", "uint16", "Routing domain"},
})

-- Of Linux.
local number = layout("pfsync.", {
	{"creatorid", "uint32", "Creator", base.HEX},
	{"number", "uint32", "Number of the frame"},
})
local arrived = new("pfsync.arrived", "uint32", "States that are there", base.HEX)
local side = layout("pfsync.tcp.", {
	{"td_end", "uint32", "td_end"},
	{"td_maxend", "uint32", "td_maxend"},
	{"td_maxwin", "uint32", "td_maxwin"},
	{"td_maxack", "uint32", "td_maxack"},
	{"td_scale", "uint8", "td_scale"},
	{"td_flags", "uint8", "Flags", base.HEX},
})
local tcp_last = {
	{"retrans", "uint8", "Retransmissions"},
	{"index", "uint8", "Kind of the last packet"},
	{"wscale", "uint8", "Window scale of the last packet"},
	{"flags", "uint8", "Flags of the last packet", base.HEX},
	{"window", "uint16", "Window of the last packet"},
}
local tcp_numbers = {
	{"seq", "uint32", "Sequence number of the last packet"},
	{"ack", "uint32", "Acknowledgement of the last packet"},
	{"end", "uint32", "End of the last packet"},
}
local function together(...)
	local all = {}
	for _, lines in ipairs({...}) do
		for _, line in ipairs(lines) do all[#all + 1] = line end
	end
	return all
end
local tcp_attribute = layout("pfsync.tcp.", together({
	{"state", "uint8", "State", nil, CONNTRACK_TCP},
	{"direction", "uint8", "Direction of the last packet"},
}, tcp_last, tcp_numbers))
local tcp_compact = layout("pfsync.tcp.", together({
	{"first", "uint8", "State and flags", base.HEX},
}, tcp_last))
local tcp_state = new("pfsync.tcp.state", "uint8", "State", base.DEC, CONNTRACK_TCP)
local adjust = layout("pfsync.adjust.", {
	{"position", "uint32", "Position"},
	{"before", "int32", "Offset before"},
	{"after", "int32", "Offset after"},
})
local sctp = layout("pfsync.sctp.", {
	{"state", "uint8", "State"},
	{"vtag0", "uint32", "Verification tag", base.HEX},
	{"vtag1", "uint32", "Verification tag of the other side", base.HEX},
	{"init0", "uint8", "INIT seen"},
	{"init1", "uint8", "INIT of the other side seen"},
	{"direction", "uint8", "Last direction"},
	{"flags", "uint8", "Flags", base.HEX},
})
local gre = layout("pfsync.gre.", {
	{"timeout", "uint32", "Timeout"},
	{"stream_timeout", "uint32", "Stream timeout"},
})

local function layout_of(prefix, ...) return layout("pfsync." .. prefix, {...}) end
local ATTRIBUTES = {
	[1] = {"Status", layout_of("", {"status", "uint32", "Status", base.HEX})},
	[2] = {"Timeout", layout_of("", {"expire", "uint32", "Seconds until it expires"})},
	[3] = {"Zone", layout_of("", {"zone", "uint16", "Zone"}, {"zone_direction", "uint8", "Of directions"})},
	[4] = {"Mark", layout_of("", {"mark", "uint32", "Mark", base.HEX})},
	[5] = {"Labels", layout_of("", {"labels", "bytes", "Labels", 16})},
	[6] = {"Helper"},
	[7] = {"TCP", tcp_attribute},
	[8] = {"TCP, the initiator", side},
	[9] = {"TCP, the other side", side},
	[10] = {"Sequence adjustment of the initiator", adjust},
	[11] = {"Sequence adjustment of the other side", adjust},
	[12] = {"SCTP", sctp},
	[13] = {"GRE", gre},
	[14] = {"Expected by", layout_of("master.", name_layout[1], name_layout[2])},
	[15] = {"SYN proxy", layout_of("synproxy.", {"isn", "uint32", "Initial sequence number"},
		{"its", "uint32", "Initial timestamp"}, {"tsoff", "uint32", "Timestamp offset", base.HEX})},
	[18] = {"Ids", layout_of("ids.", {"source", "uint16", "Source"}, {"destination", "uint16", "Destination"},
		{"reply_source", "uint16", "Source of the reply"},
		{"reply_destination", "uint16", "Destination of the reply"})},
	[19] = {"Made at", layout_of("", {"start", "uint64", "Nanoseconds since 1970"})},
	[20] = {"Other side's address", layout_of("", {"other_side", "bytes", "Address", 16})},
	[21] = {"pf's other state of", layout_of("half_of.", name_layout[1], name_layout[2])},
	[22] = {"In use", layout_of("", {"in_use", "uint8", "The sender has seen the last packet"})},
	[23] = {"Reads actions 195 to 197", layout_of("")},
}
local helper = new("pfsync.helper", "string", "Helper")
local attribute_field = new("pfsync.attribute", "uint8", "Attribute")
local unknown = new("pfsync.unknown", "bytes", "Not known")
local src4, dst4 = new("pfsync.src", "ipv4", "Source"), new("pfsync.dst", "ipv4", "Destination")
local src6, dst6 = new("pfsync.src6", "ipv6", "Source"), new("pfsync.dst6", "ipv6", "Destination")
local sport = new("pfsync.sport", "uint16", "Source port or id")
local dport = new("pfsync.dport", "uint16", "Destination port or id")
local malformed = ProtoExpert.new("pfsync.malformed", "A length exceeds what is there",
	expert.group.MALFORMED, expert.severity.ERROR)

-- What is raised where a message is shorter than it says.
local SHORT = "short"

-- The parts of a message, one after the other.
local function reader(range)
	local it, at = {}, 0
	function it.left() return range:len() - at end
	function it.take(size)
		if size > it.left() then error(SHORT, 0) end
		at = at + size
		return size > 0 and range(at - size, size) or nil
	end
	return it
end

local function has(flags, bit) return math.floor(flags / bit) % 2 == 1 end

-- An address and a port of either family.
local function add_end(tree, field4, field6, port_field, address, port)
	local is_v4 = address:len() == 4
	tree:add(is_v4 and field4 or field6, address)
	tree:add(port_field, port)
	local shown = tostring(is_v4 and address:ipv4() or address:ipv6())
	return string.format(is_v4 and "%s:%d" or "[%s]:%d", shown, port:uint())
end

local function add_original(tree, source, source_port, destination, destination_port)
	return add_end(tree, src4, src6, sport, source, source_port) .. " -> " ..
		add_end(tree, dst4, dst6, dport, destination, destination_port)
end

local far4, near4 = new("pfsync.key.far", "ipv4", "Far end"), new("pfsync.key.near", "ipv4", "Near end")
local far6, near6 = new("pfsync.key.far6", "ipv6", "Far end"), new("pfsync.key.near6", "ipv6", "Near end")

-- Both addresses of a key of 40 bytes.
local function ends_of(range, family)
	local own = range(38, 1):uint()
	if own ~= 0 then family = own end
	local size = family == AF_INET6 and 16 or 4
	return range(0, size), range(16, size)
end

local function add_key(tree, label, range, family)
	local below = tree:add(range, label)
	local far, near = ends_of(range, family)
	below:add(far:len() == 4 and far4 or far6, far)
	below:add(near:len() == 4 and near4 or near6, near)
	add_layout(below, key_ends, range(32, 8))
end

local function add_state(tree, range)
	add_layout(tree, state_head, range(0, 24))
	local family, direction, proto = range(250, 1):uint(), range(252, 1):uint(), range(251, 1):uint()
	add_key(tree, "Key on the wire", range(24, 40), family)
	add_key(tree, "Key of the stack", range(64, 40), family)
	-- the initiator is the near end of what goes out, and the far end of what comes in
	local key = direction == 2 and range(64, 40) or range(24, 40)
	local far, near = ends_of(key, family)
	local shown
	if direction == 2 then
		shown = add_original(tree, near, key(34, 2), far, key(32, 2))
	else
		shown = add_original(tree, far, key(32, 2), near, key(34, 2))
	end
	add_layout(tree:add(range(104, 32), "The initiator"), peer, range(104, 32))
	add_layout(tree:add(range(136, 32), "The other side"), peer, range(136, 32))
	add_layout(tree, state_tail, range(168, 96))
	tree:append_text(string.format(", %s %s", PROTOCOLS[proto] or proto, shown))
end

local function add_update(tree, range)
	add_layout(tree, update_head, range(0, 8))
	add_layout(tree:add(range(8, 32), "The initiator"), peer, range(8, 32))
	add_layout(tree:add(range(40, 32), "The other side"), peer, range(40, 32))
	add_layout(tree, update_tail, range(72, 12))
end

local function add_attributes(tree, rest)
	while rest.left() > 0 do
		local kind = rest.take(1)
		if kind:uint() ~= 0 then
			local length = rest.take(1):uint()
			local value = rest.take(length)
			local known = ATTRIBUTES[kind:uint()] or {"Attribute"}
			local made = known[2]
			local below = tree:add(value or kind, known[1])
			below:add(attribute_field, kind)
			if not value then
				-- it is there, and that is all
			elseif kind:uint() == 6 then
				below:add(helper, value)
				below:append_text(": " .. value:string())
			elseif not made then
				below:add(unknown, value)
			elseif length < made.size then
				error(SHORT, 0)
			else
				add_layout(below, made, value)
			end
		end
	end
end

local function add_extra(tree, range)
	local rest = reader(range)
	add_layout(tree, name, rest.take(12))
	if range(0, 8):uint64() == UInt64(0) and range(8, 4):uint() == 0 then
		tree:append_text(", a greeting")
	end
	add_attributes(tree, rest)
end

local compact_head = layout("pfsync.", {
	{"id", "uint64", "Id", base.HEX},
	{"creatorid", "uint32", "Creator", base.HEX},
	{"compact_flags", "uint8", "Flags", base.HEX},
	{"proto", "uint8", "Protocol", nil, PROTOCOLS},
	{"compact_status", "uint16", "Status", base.HEX},
	{"expire", "uint32", "Seconds until it expires"},
	{"creation", "uint32", "Seconds since it was made"},
})
local confirm = new("pfsync.confirm", "bool", "To be confirmed")
local in_use = new("pfsync.last_seen", "bool", "The sender has seen the last packet")
local reply_src4 = new("pfsync.reply_src", "ipv4", "Source of the reply")
local reply_src6 = new("pfsync.reply_src6", "ipv6", "Source of the reply")
local reply_dst4 = new("pfsync.reply_dst", "ipv4", "Destination of the reply")
local reply_dst6 = new("pfsync.reply_dst6", "ipv6", "Destination of the reply")
local reply_sport = new("pfsync.reply_sport", "uint16", "Source port or id of the reply")
local reply_dport = new("pfsync.reply_dport", "uint16", "Destination port or id of the reply")

-- By a bit of the first byte, in the order in which they stand.
local TCP_NUMBERS = {
	{0x20, layout_of("tcp.", tcp_numbers[3])},
	{0x40, layout_of("tcp.", tcp_numbers[1])},
	{0x80, layout_of("tcp.", tcp_numbers[2])},
}

local function add_tcp(tree, rest)
	local range = rest.take(tcp_compact.size)
	local first = range(0, 1):uint()
	local below = tree:add(range, "TCP")
	below:add(tcp_state, range(0, 1), first % 16)
	below:append_text(": " .. (CONNTRACK_TCP[first % 16] or first % 16))
	add_layout(below, tcp_compact, range)
	for _, label in ipairs({"The initiator", "The other side"}) do
		local half = rest.take(side.size)
		add_layout(tree:add(half, label), side, half)
	end
	for _, it in ipairs(TCP_NUMBERS) do
		if has(first, it[1]) then add_layout(below, it[2], rest.take(4)) end
	end
end

local function add_compact(tree, range)
	local rest = reader(range)
	local said = add_layout(tree, compact_head, rest.take(compact_head.size))
	local flags, at = said.compact_flags, range(12, 1)
	local size = has(flags, 1) and 16 or 4
	tree:add(confirm, at, has(flags, 2))
	tree:add(in_use, at, has(flags, 4))
	local source, destination = rest.take(size), rest.take(size)
	local source_port, destination_port = rest.take(2), rest.take(2)
	local shown = add_original(tree, source, source_port, destination, destination_port)
	if has(flags, 8) then
		add_end(tree, reply_src4, reply_src6, reply_sport, rest.take(size), rest.take(2))
	end
	if has(flags, 16) then
		shown = shown .. " as " ..
			add_end(tree, reply_dst4, reply_dst6, reply_dport, rest.take(size), rest.take(2))
	end
	if said.proto == TCP then
		add_tcp(tree, rest)
	elseif said.proto == SCTP or said.proto == GRE then
		local made = said.proto == SCTP and sctp or gre
		add_layout(tree, made, rest.take(made.size))
	end
	add_attributes(tree, rest)
	tree:append_text(string.format(", %s %s", PROTOCOLS[said.proto] or said.proto, shown))
end

local expectation = layout("pfsync.expect.", {
	{"number", "uint32", "Number"},
	{"kind", "uint8", "It", nil, {[1] = "is there", [2] = "is gone"}},
	{"family", "uint8", "Address family"},
	{"proto", "uint8", "Protocol", nil, PROTOCOLS},
	{"nat_direction", "uint8", "NAT of direction"},
	{"source", "bytes", "Source", 16},
	{"destination", "bytes", "Destination", 16},
	{"sport", "uint16", "Source port"},
	{"dport", "uint16", "Destination port"},
	{"mask", "bytes", "Mask of the source", 16},
	{"mask_port", "uint16", "Mask of the source port", base.HEX},
	{"nat_port", "uint16", "Port before translation"},
	{"nat_address", "bytes", "Address before translation", 16},
	{"expire", "uint32", "Seconds until it expires"},
	{"flags", "uint32", "Flags", base.HEX},
	{"class", "uint32", "Class"},
	{"helper", "string", "Helper that made it", 16},
	{"assign_helper", "string", "Helper of the connection", 16},
	{"function", "string", "Function that sets it up", 32},
})

local function add_expectation(tree, range)
	add_layout(tree, ATTRIBUTES[14][2], range(0, 12))
	add_layout(tree, expectation, range(12, expectation.size))
end

local function add_arrived(tree, range)
	add_layout(tree, number, range(0, number.size))
	for offset = number.size, range:len() - 4, 4 do tree:add(arrived, range(offset, 4)) end
end

local function by(made)
	return function(tree, range) add_layout(tree, made, range(0, made.size)) end
end

-- By action: how long a message is at least, and what shows it.
local MESSAGES = {
	[0] = {clear.size, by(clear)},
	[2] = {name.size, by(name)},
	[4] = {84, add_update},
	[5] = {name.size, by(name)},
	[6] = {264, add_state},
	[7] = {name.size, by(name)},
	[10] = {bulk.size, by(bulk)},
	[13] = {264, add_state},
	[14] = {264, add_state},
	[15] = {tdb.size, by(tdb)},
	[193] = {12, add_extra},
	[194] = {168, add_expectation},
	[195] = {36, add_compact},
	[196] = {number.size, by(number)},
	[197] = {number.size, add_arrived},
}

local function add_message(tree, action, range)
	local below = tree:add(range, ACTIONS[action] or "Message")
	local message = MESSAGES[action]
	if not message or range:len() < message[1] then
		below:add(unknown, range)
		return
	end
	local good, trouble = pcall(message[2], below, range)
	if not good and trouble ~= SHORT then error(trouble, 0) end
	if not good then below:add_tvb_expert_info(malformed, range) end
end

-- Returns what follows the section, and what it is; nothing: it exceeds the frame.
local function add_section(tree, range)
	local action = range(0, 1):uint()
	local size, count = range(1, 1):uint() * 4, range(2, 2):uint()
	local length = section.size + size * count
	local below = tree:add(range(0, math.min(length, range:len())), ACTIONS[action] or "Section")
	add_layout(below, section, range(0, section.size))
	if length > range:len() then
		below:add_tvb_expert_info(malformed, range(0, section.size))
		return nil, (ACTIONS[action] or action) .. " [malformed]"
	end
	if size > 0 then
		for offset = section.size, length - 1, size do
			add_message(below, action, range(offset, size))
		end
	end
	local rest = length < range:len() and range(length) or nil
	return rest, string.format("%s x%d", ACTIONS[action] or action, count)
end

function pfsync.dissector(tvb, pinfo, tree)
	pinfo.cols.protocol = "pfsync"
	local top = tree:add(pfsync, tvb())
	if tvb:len() < header.size then
		top:add_tvb_expert_info(malformed, tvb())
		pinfo.cols.info = "[malformed]"
		return tvb:len()
	end
	local said = add_layout(top, header, tvb(0, header.size))
	if said.version ~= 6 then
		pinfo.cols.info = "version " .. said.version .. ", which is not 6"
		return tvb:len()
	end
	local infos = {}
	local length = math.min(said.length, tvb:len())
	if said.length > tvb:len() or said.length < header.size then
		top:add_tvb_expert_info(malformed, tvb(2, 2))
		infos[1] = "[malformed]"
	end
	local rest = length > header.size and tvb(header.size, length - header.size) or nil
	while rest and rest:len() >= section.size do
		local following, info = add_section(top, rest)
		rest, infos[#infos + 1] = following, info
	end
	pinfo.cols.info = table.concat(infos, ", ")
	return tvb:len()
end

local function register(proto, list, experts)
	local all = {}
	for _, field in pairs(list) do all[#all + 1] = field end
	proto.fields, proto.experts = all, experts
end
register(carp, fields.carp2, {bad_checksum, bad_trailer})
register(pfsync, fields.pfsync, {malformed})

-- IPv6 has the same table.
local by_protocol = DissectorTable.get("ip.proto")
by_protocol:add(112, carp)
by_protocol:add(240, pfsync)
