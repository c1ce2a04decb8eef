-- Wireshark dissector for recordings of spu boards, exported by
--   spu recording export run.spu --pcapng run.pcapng
--
-- To use it once:       wireshark -X lua_script:tools/wireshark/spu.lua run.pcapng
-- To install it:        copy this file to the folder "Personal Lua Plugins" of Help > About.
--
-- A packet is one frame, COBS undone and CRC checked, behind four octets: version of this layout,
-- direction, what follows, zero (docs/recording.md). Integers are little endian. The tables of
-- names are those of spu-protocol; a test of spu-driver compares them.

local spu = Proto("spu", "Stochastic processing unit")

-- Tables of spu-protocol begin.
local OPCODES = {
    [0x0001] = "Hello",
    [0x0002] = "Reset",
    [0x0003] = "EnterBootloader",
    [0x0010] = "Info",
    [0x0011] = "Ping",
    [0x0020] = "ReadRegs",
    [0x0021] = "WriteRegs",
    [0x0030] = "Load",
    [0x0040] = "Acquire",
    [0x0041] = "AcquireStatus",
    [0x0042] = "Cancel",
    [0x0043] = "Credit",
    [0x0044] = "StreamBlock",
    [0x0045] = "AcquireDone",
    [0x0050] = "SelfTest",
    [0x0060] = "UpdateBegin",
    [0x0061] = "UpdateWrite",
    [0x0062] = "UpdateFinish",
    [0x0063] = "UpdateStatus",
    [0x0064] = "UpdateConfirm",
    [0x0070] = "BulkWrite",
    [0x0071] = "BulkRead",
}
local ERRORS = {
    [1] = "UnknownOpcode",
    [2] = "BadPayload",
    [3] = "BadSession",
    [4] = "BadVersion",
    [5] = "BadAddress",
    [6] = "OutOfRange",
    [7] = "WrongBoard",
    [8] = "Busy",
    [9] = "Bus",
    [10] = "NoGateware",
    [11] = "Stalled",
    [12] = "Unsupported",
    [13] = "ReplyGone",
    [14] = "WrongGateware",
    [15] = "InUse",
    [16] = "BadImage",
    [17] = "WrongTarget",
    [18] = "BadHash",
    [19] = "BadSignature",
    [20] = "UnknownKey",
    [21] = "Downgrade",
    [22] = "TooLarge",
    [23] = "OutOfOrder",
    [24] = "Flash",
    [25] = "NotConfirmed",
    [26] = "Incomplete",
    [27] = "NoUpdate",
}
local KINDS = {
    [1] = "Request",
    [2] = "Reply",
    [3] = "Error",
    [4] = "Event",
}
local STATES = {
    [0] = "Idle",
    [1] = "Program",
    [2] = "Settle",
    [3] = "Acquire",
    [4] = "Drain",
    [5] = "Done",
    [6] = "Cancelled",
    [7] = "Failed",
}
-- Tables of spu-protocol end.

local CONTENTS = {
    [0] = "Frame",
    [1] = "Damaged: COBS block unfinished",
    [2] = "Damaged: overlong",
    [3] = "Damaged: CRC wrong",
    [4] = "Damaged: header malformed",
    [5] = "Link failed",
    [6] = "Link came back",
}
local HEADER = 20
local REQUEST, REPLY, ERROR, EVENT = 1, 2, 3, 4
local RESEED, STORAGE = 1, 4

local f = spu.fields
f.layout = ProtoField.uint8("spu.layout", "Layout of this packet")
f.direction = ProtoField.uint8("spu.direction", "Direction", base.DEC,
    { [0] = "to the device", [1] = "from the device" })
f.content = ProtoField.uint8("spu.content", "Content", base.DEC, CONTENTS)
f.octets = ProtoField.bytes("spu.octets", "Octets")
f.message = ProtoField.string("spu.message", "Message")
f.magic = ProtoField.string("spu.magic", "Magic")
f.version = ProtoField.uint8("spu.version", "Protocol version")
f.kind = ProtoField.uint8("spu.kind", "Kind", base.DEC, KINDS)
f.opcode = ProtoField.uint16("spu.opcode", "Operation", base.HEX, OPCODES)
f.length = ProtoField.uint16("spu.length", "Payload length")
f.session = ProtoField.uint32("spu.session", "Session", base.HEX)
f.sequence = ProtoField.uint32("spu.sequence", "Sequence")
f.reserved = ProtoField.bytes("spu.reserved", "Reserved")
f.code = ProtoField.uint16("spu.error", "Error", base.DEC, ERRORS)
f.detail = ProtoField.uint16("spu.detail", "Detail")
f.nonce = ProtoField.uint64("spu.nonce", "Nonce", base.HEX)
f.version_min = ProtoField.uint8("spu.version_min", "Oldest version spoken")
f.version_max = ProtoField.uint8("spu.version_max", "Newest version spoken")
f.serial = ProtoField.uint64("spu.serial", "Serial number", base.HEX)
f.calibration_id = ProtoField.uint64("spu.calibration_id", "Calibration", base.HEX)
f.gateware_id = ProtoField.uint32("spu.gateware_id", "Gateware", base.HEX)
f.new_session = ProtoField.uint32("spu.new_session", "Session opened", base.HEX)
f.firmware = ProtoField.string("spu.firmware", "Firmware")
f.level = ProtoField.uint32("spu.level", "Level")
f.address = ProtoField.uint16("spu.address", "Register address", base.HEX)
f.region = ProtoField.uint16("spu.region", "Bulk region")
f.first = ProtoField.uint32("spu.first", "First word")
f.count = ProtoField.uint32("spu.count", "Count")
f.word = ProtoField.uint32("spu.word", "Word", base.HEX)
f.data = ProtoField.bytes("spu.data", "Data")
f.profile = ProtoField.string("spu.profile", "Profile")
f.sample_clock_hz = ProtoField.uint32("spu.sample_clock_hz", "Sample clock (Hz)")
f.capture_frames = ProtoField.uint32("spu.capture_frames", "Capture memory (frames)")
f.stream_frames_per_s = ProtoField.uint32("spu.stream_frames_per_s", "Largest raw rate (frames/s)")
f.board_kind = ProtoField.uint16("spu.board_kind", "Kind of board", base.DEC,
    { [1] = "RLC", [2] = "RC", [3] = "factored" })
f.cells = ProtoField.uint16("spu.cells", "Cells")
f.couplings = ProtoField.uint16("spu.couplings", "Couplings")
f.report_octets = ProtoField.uint32("spu.report_octets", "Octets of the report")
f.nominal = ProtoField.float("spu.nominal", "Nominal value")
f.bits = ProtoField.uint8("spu.bits", "Format")
f.load_flags = ProtoField.uint16("spu.load_flags", "Flags", base.HEX)
f.self_code = ProtoField.int16("spu.self_code", "Self code")
f.coupling_code = ProtoField.int16("spu.coupling_code", "Coupling code")
f.gain_code = ProtoField.uint16("spu.gain_code", "Gain code")
f.bias_code = ProtoField.int16("spu.bias_code", "Bias code")
f.storage_code = ProtoField.int16("spu.storage_code", "Storage code")
f.seed = ProtoField.uint32("spu.seed", "Seed word", base.HEX)
f.settle = ProtoField.uint32("spu.settle", "Settle (ticks)")
f.decimation = ProtoField.uint32("spu.decimation", "Keep one tick in")
f.acquire_flags = ProtoField.uint32("spu.acquire_flags", "Flags", base.HEX)
f.flag_moments = ProtoField.bool("spu.flag.moments", "Moments", 32, nil, 1)
f.flag_stream = ProtoField.bool("spu.flag.stream", "Stream", 32, nil, 2)
f.flag_realtime = ProtoField.bool("spu.flag.realtime", "Real time", 32, nil, 4)
f.granted = ProtoField.uint64("spu.granted", "Blocks granted in all")
f.kept = ProtoField.uint64("spu.kept", "Ticks kept")
f.lost = ProtoField.uint64("spu.lost", "Frames lost")
f.ticks = ProtoField.uint64("spu.ticks", "Ticks run")
f.blocks = ProtoField.uint64("spu.blocks", "Blocks sent")
f.state = ProtoField.uint8("spu.state", "State", base.DEC, STATES)
f.moments = ProtoField.uint8("spu.moments", "Moments follow")
f.saturated = ProtoField.uint32("spu.saturated", "Saturated samples")
f.sum = ProtoField.int64("spu.sum", "Sum of codes")
f.product = ProtoField.int64("spu.product", "Sum of products")
f.update_flags = ProtoField.uint32("spu.update_flags", "Flags", base.HEX)
f.image_magic = ProtoField.bytes("spu.image.magic", "Image")
f.image_header_version = ProtoField.uint16("spu.image.header_version", "Version of the header")
f.image_kind = ProtoField.uint32("spu.image.kind", "Kind of image", base.DEC,
    { [1] = "Firmware", [2] = "Gateware" })
f.image_target = ProtoField.uint32("spu.image.target", "Board or FPGA", base.HEX)
f.image_build = ProtoField.uint32("spu.image.build_id", "Build", base.HEX)
f.image_version = ProtoField.string("spu.image.version", "Version of the image")
f.image_length = ProtoField.uint32("spu.image.length", "Payload (octets)")
f.image_address = ProtoField.uint32("spu.image.load_address", "Address", base.HEX)
f.image_sha256 = ProtoField.bytes("spu.image.sha256", "SHA-256")
f.image_key = ProtoField.uint32("spu.image.key_id", "Key", base.HEX)
f.image_signature = ProtoField.bytes("spu.image.signature", "Signature")
f.offset = ProtoField.uint32("spu.offset", "Offset")
f.update_state = ProtoField.uint16("spu.update_state", "State", base.DEC,
    { [0] = "Idle", [1] = "Erasing", [2] = "Receiving", [3] = "Verifying", [4] = "Ready",
        [5] = "Failed" })
f.update_done = ProtoField.uint32("spu.update_done", "Done (octets)")
f.update_total = ProtoField.uint32("spu.update_total", "Of (octets)")
f.update_number = ProtoField.uint32("spu.update_number", "Number")
f.slot_state = ProtoField.uint8("spu.slot_state", "Slot", base.DEC,
    { [0] = "Empty", [1] = "Pending", [2] = "Trial", [3] = "Confirmed", [4] = "RolledBack" })
f.block = ProtoField.uint64("spu.block", "Block")
f.first_frame = ProtoField.uint64("spu.first_frame", "First frame")
f.lost_before = ProtoField.uint64("spu.lost_before", "Frames lost before")
f.frames = ProtoField.uint32("spu.frames", "Frames")
f.frame_octets = ProtoField.uint32("spu.frame_octets", "Octets of a frame")
f.frame = ProtoField.bytes("spu.frame", "Frame (JESD204B)")
f.ran = ProtoField.uint32("spu.ran", "Tests run", base.HEX)
f.failed = ProtoField.uint32("spu.failed", "Tests failed", base.HEX)
f.expected = ProtoField.uint32("spu.expected", "Expected", base.HEX)
f.found = ProtoField.uint32("spu.found", "Found", base.HEX)

local malformed = ProtoExpert.new("spu.malformed", "Not laid out as its operation says",
    expert.group.MALFORMED, expert.severity.WARN)
local refused = ProtoExpert.new("spu.refused", "Refused", expert.group.RESPONSE_CODE,
    expert.severity.NOTE)
local damaged = ProtoExpert.new("spu.damaged", "Damaged frame", expert.group.CHECKSUM,
    expert.severity.WARN)
local link = ProtoExpert.new("spu.link", "Link failed", expert.group.SEQUENCE,
    expert.severity.WARN)
local loss = ProtoExpert.new("spu.loss", "Frames were lost", expert.group.SEQUENCE,
    expert.severity.WARN)
spu.experts = { malformed, refused, damaged, link, loss }

-- Reads a payload from its start; `short` once it ends early.
local function reader(payload, tree)
    local self = { at = 0, short = false }
    function self.take(field, size, label)
        if self.short or self.at + size > payload:len() then
            self.short = true
            return nil
        end
        local part = payload(self.at, size)
        self.at = self.at + size
        local item = tree:add_le(field, part)
        if label then item:prepend_text(label .. " ") end
        return part
    end
    function self.array(field, size, count)
        for i = 0, count - 1 do
            if not self.take(field, size, "[" .. i .. "]") then return end
        end
    end
    function self.version(field)
        if self.short or self.at + 6 > payload:len() then
            self.short = true
            return
        end
        local part = payload(self.at, 6)
        self.at = self.at + 6
        tree:add(field, part, string.format("%d.%d.%d", part(0, 2):le_uint(),
            part(2, 2):le_uint(), part(4, 2):le_uint()))
    end
    function self.left() return payload:len() - self.at end
    return self
end

-- Whether a number, one bit, is set in flags.
local function has(flags, bit) return math.floor(flags:le_uint() / bit) % 2 == 1 end

local function load(r)
    r.take(f.board_kind, 2)
    local cells = r.take(f.cells, 2)
    local couplings = r.take(f.couplings, 2)
    local flags = r.take(f.load_flags, 2)
    if r.short then return end
    r.array(f.self_code, 2, cells:le_uint())
    r.array(f.coupling_code, 2, couplings:le_uint())
    r.array(f.gain_code, 2, cells:le_uint())
    r.array(f.bias_code, 2, cells:le_uint())
    if has(flags, STORAGE) then r.array(f.storage_code, 2, cells:le_uint()) end
    if has(flags, RESEED) then r.array(f.seed, 4, 4 * cells:le_uint()) end
end

local function status(r)
    r.take(f.kept, 8)
    r.take(f.lost, 8)
    r.take(f.ticks, 8)
    r.take(f.blocks, 8)
    r.take(f.state, 1)
    local moments = r.take(f.moments, 1)
    local cells = r.take(f.cells, 2)
    r.take(f.reserved, 4)
    if r.short then return end
    local n = cells:le_uint()
    r.array(f.saturated, 4, n)
    if moments:le_uint() == 1 then
        r.array(f.sum, 8, n)
        r.array(f.product, 8, n * (n + 1) / 2)
    end
end

local function info(r)
    r.take(f.serial, 8)
    r.take(f.calibration_id, 8)
    r.take(f.profile, 16)
    r.take(f.gateware_id, 4)
    r.take(f.sample_clock_hz, 4)
    r.take(f.capture_frames, 4)
    r.take(f.stream_frames_per_s, 4)
    r.version(f.firmware)
    r.take(f.board_kind, 2)
    r.take(f.cells, 2)
    r.take(f.couplings, 2)
    for _, name in ipairs({ "self_bits", "coupling_bits", "coupling_signed", "dac_bits",
        "adc_bits", "sample_bits", "control_bits", "samples_per_frame" }) do
        r.take(f.bits, 1, name)
    end
    for _, name in ipairs({ "noise_rms_code", "r_ohm", "l_henry", "self_lsb_farad",
        "coupling_lsb_farad", "stray_farad", "dac_lsb_ampere", "adc_lsb_volt", "drive_spread",
        "bank_spread", "adc_gain_spread", "r_spread", "l_spread" }) do
        r.take(f.nominal, 4, name)
    end
    r.take(f.report_octets, 4)
    r.take(f.bits, 1, "storage_bits")
    r.take(f.reserved, 3)
end

local function words(r) r.array(f.word, 4, math.floor(r.left() / 4)) end

local function data(r)
    if r.left() > 0 then r.take(f.data, r.left()) end
end

local function regs(r)
    r.take(f.address, 2)
    r.take(f.count, 2)
    words(r)
end

local function bulk(r)
    r.take(f.region, 2)
    r.take(f.count, 2)
    r.take(f.first, 4)
    words(r)
end

local function stream(r, tree)
    r.take(f.block, 8)
    r.take(f.first_frame, 8)
    local lost = r.take(f.lost_before, 8)
    local frames = r.take(f.frames, 4)
    local octets = r.take(f.frame_octets, 4)
    if r.short then return end
    if lost:le_uint64() > UInt64(0) then tree:add_proto_expert_info(loss) end
    if octets:le_uint() > 0 then r.array(f.frame, octets:le_uint(), frames:le_uint()) end
end

local function begin(r)
    r.take(f.update_flags, 4)
    r.take(f.reserved, 4)
    r.take(f.image_magic, 4)
    r.take(f.image_header_version, 2)
    r.take(f.image_kind, 2)
    r.take(f.image_target, 4)
    r.take(f.image_build, 4)
    r.version(f.image_version)
    r.take(f.reserved, 2)
    r.take(f.image_length, 4)
    r.take(f.image_address, 4)
    r.take(f.image_sha256, 32)
    r.take(f.image_key, 4)
    r.take(f.reserved, 124)
    r.take(f.image_signature, 64)
end

local function progress(r)
    r.take(f.update_state, 2)
    r.take(f.code, 2)
    r.take(f.update_done, 4)
    r.take(f.update_total, 4)
end

local function slots(r)
    progress(r)
    for _, name in ipairs({ "room", "page", "piece" }) do r.take(f.update_number, 4, name) end
    r.take(f.image_target, 4)
    r.take(f.update_number, 4, "running")
    for _ = 1, 2 do
        r.take(f.image_build, 4)
        r.take(f.image_length, 4)
        r.take(f.update_number, 4, "sequence")
        r.version(f.image_version)
        r.take(f.slot_state, 1)
        r.take(f.reserved, 1)
    end
end

local function select(r) r.take(f.image_kind, 4) end

local requests = {
    Hello = function(r)
        r.take(f.nonce, 8)
        r.take(f.version_min, 1)
        r.take(f.version_max, 1)
        r.take(f.reserved, 6)
    end,
    Reset = function(r) r.take(f.level, 4) end,
    SelfTest = function(r) r.take(f.level, 4) end,
    UpdateBegin = begin,
    UpdateWrite = function(r)
        r.take(f.offset, 4)
        r.take(f.reserved, 4)
        data(r)
    end,
    UpdateStatus = select,
    UpdateConfirm = select,
    BulkWrite = bulk,
    BulkRead = bulk,
    Ping = data,
    ReadRegs = regs,
    WriteRegs = regs,
    Load = load,
    Acquire = function(r, tree)
        r.take(f.settle, 4)
        r.take(f.decimation, 4)
        r.take(f.count, 4)
        local flags = r.take(f.acquire_flags, 4)
        if flags then
            tree:add_le(f.flag_moments, flags)
            tree:add_le(f.flag_stream, flags)
            tree:add_le(f.flag_realtime, flags)
        end
        r.take(f.granted, 8)
    end,
    Credit = function(r) r.take(f.granted, 8) end,
}
local answers = {
    Hello = function(r)
        r.take(f.nonce, 8)
        r.take(f.serial, 8)
        r.take(f.calibration_id, 8)
        r.take(f.new_session, 4)
        r.take(f.gateware_id, 4)
        r.version(f.firmware)
        r.take(f.version_min, 1)
        r.take(f.version_max, 1)
    end,
    Info = info,
    Ping = data,
    ReadRegs = words,
    BulkRead = words,
    Load = load,
    AcquireStatus = status,
    Cancel = status,
    AcquireDone = status,
    StreamBlock = stream,
    UpdateBegin = progress,
    UpdateWrite = progress,
    UpdateFinish = progress,
    UpdateStatus = slots,
    SelfTest = function(r)
        r.take(f.ran, 4)
        r.take(f.failed, 4)
        r.take(f.expected, 4)
        r.take(f.found, 4)
    end,
}

local function payload_of(kind, opcode, payload, tree)
    local r = reader(payload, tree)
    if kind == ERROR then
        r.take(f.code, 2)
        r.take(f.detail, 2)
        tree:add_proto_expert_info(refused)
    else
        local layouts = kind == REQUEST and requests or answers
        local layout = layouts[OPCODES[opcode]]
        if layout then layout(r, tree) end
    end
    if r.short or r.left() > 0 then
        tree:add_proto_expert_info(malformed)
        if r.left() > 0 then tree:add(f.octets, payload(r.at)) end
    end
end

function spu.dissector(buffer, pinfo, root)
    if buffer:len() < 4 then return 0 end
    pinfo.cols.protocol = "SPU"
    local from_device = buffer(1, 1):uint() == 1
    pinfo.cols.src = from_device and "device" or "host"
    pinfo.cols.dst = from_device and "host" or "device"
    local tree = root:add(spu, buffer())
    tree:add(f.layout, buffer(0, 1))
    tree:add(f.direction, buffer(1, 1))
    tree:add(f.content, buffer(2, 1))
    local content = buffer(2, 1):uint()
    local rest = buffer:len() > 4 and buffer(4):tvb() or nil
    if content ~= 0 or not rest or rest:len() < HEADER then
        pinfo.cols.info = CONTENTS[content] or "unknown"
        if content == 5 then
            if rest then tree:add(f.message, rest()) end
            tree:add_proto_expert_info(link)
        elseif content ~= 6 then
            if rest then tree:add(f.octets, rest()) end
            tree:add_proto_expert_info(damaged)
        end
        return buffer:len()
    end
    local kind, opcode = rest(3, 1):uint(), rest(4, 2):le_uint()
    local header = tree:add(spu, rest(0, HEADER), "Header")
    header:add(f.magic, rest(0, 2))
    header:add(f.version, rest(2, 1))
    header:add(f.kind, rest(3, 1))
    header:add_le(f.opcode, rest(4, 2))
    header:add_le(f.length, rest(6, 2))
    header:add_le(f.session, rest(8, 4))
    header:add_le(f.sequence, rest(12, 4))
    header:add(f.reserved, rest(16, 4))
    local name = OPCODES[opcode] or string.format("operation 0x%04x", opcode)
    local text = string.format("%s %s, %d:%d", name, (KINDS[kind] or "of unknown kind"):lower(),
        rest(8, 4):le_uint(), rest(12, 4):le_uint())
    if kind == ERROR and rest:len() >= HEADER + 4 then
        local code = rest(HEADER, 2):le_uint()
        text = text .. ": " .. (ERRORS[code] or code)
    end
    pinfo.cols.info = text
    tree:append_text(", " .. text)
    if rest:len() > HEADER then
        local payload = rest(HEADER):tvb()
        payload_of(kind, opcode, payload, tree:add(spu, payload(), "Payload"))
    end
    return buffer:len()
end

DissectorTable.get("wtap_encap"):add(wtap.USER0, spu)
