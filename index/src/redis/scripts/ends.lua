-- The end of life (ms) under which a token stands in its subject's list: later than its own by at most a sixteenth of its lifetime
-- and a ms. A token that soon takes the place of another stands under the same, so that the list stays as it is. Each slot has
-- steps of its own, so that not all slots of a subject stand under the same few ends.
local function listed_end(slot, revision, lifetime)
  local step = math.floor(lifetime / 16) + 1
  local ends = math.floor(revision / 1000) + lifetime
  return ends + step - (ends - struct.unpack('<I4', slot)) % step
end

