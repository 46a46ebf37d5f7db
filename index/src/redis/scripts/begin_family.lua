-- Issues an access token and begins a family with it.
--
-- KEYS: 1 the slot's record, 2 the subject's list.
-- ARGV: 1 to 8 as `issue.lua`, with empty texts for no limit; 9 the nonce; 10 the family's record without what the scripts
--   write; 11 how long it lives, 12 how long without use, in ms; 13 how many families there may be in one application under one
--   binding.
-- Answers as `issue` does and, where that is a token, further: the index of the family's position, how many ms it lives.
if tonumber(ARGV[4]) and now_us() > tonumber(ARGV[4]) then return {'late'} end

-- Before anything is written: in a cluster, a place whose slot is on the move can be out of reach, and then nothing may be done.
local prefix, tags = string.sub(KEYS[1], 1, -17), string.sub(ARGV[3], 17, 29)
local generation = struct.unpack('<I4', ARGV[1], 2)
local chosen, longest_ago
for index = 0, tonumber(ARGV[13]) - 1 do
  local header = redis.call('GETRANGE', prefix .. tags .. struct.pack('>I2', index), 0, 13)
  if header == '' or generation_of(header) < generation then
    chosen = index
    break
  end
  local rotated_at = struct.unpack('<I8', header, 2)
  if not longest_ago or rotated_at < longest_ago then chosen, longest_ago = index, rotated_at end
end

local answer = issue(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8])
local token = noted(answer, KEYS[1], ARGV[1])
if not token then return answer end

local position, now = tags .. struct.pack('>I2', chosen), now_us()
local family = {
  rotated_at = now,
  generation = generation,
  sequence = 1,
  grace_uses = 0,
  ends_at = math.floor(now / 1000) + ARGV[11],
  nonce = ARGV[9],
  tokens = {token},
  body = ARGV[10],
}
table.insert(answer, chosen)
table.insert(answer, begin_turn(prefix .. position, KEYS[2], position, family, tonumber(ARGV[12])))
return answer
