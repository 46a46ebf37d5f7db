-- What scripts may use: the fixed offsets of an encoded TokenRecord and of a member of a list, and the store's clock.
local function revision_of(record) return struct.unpack('<I8', record, 2) end
local function digest_of(record) return string.sub(record, 17, 48) end
local function slot_of(member) return string.sub(member, 1, 16) end
local function application_of(member) return string.sub(member, 17, 21) end
local function binding_of(member) return string.sub(member, 22, 29) end
local function now_us() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end
-- A number as Redis reads one: by itself Lua would write a long one with an exponent.
local function text(number) return string.format('%.0f', number) end
