-- Entries of a subject's list: a member of a slot, or the position of a family, which is shorter: application tag (5 bytes),
-- binding tag (8), index (2).

-- The key, the application tag and the binding tag of an entry.
local function entry(record_prefix, member)
  if #member == 15 then
    return record_prefix .. member, string.sub(member, 1, 5), string.sub(member, 6, 13)
  end
  return record_prefix .. slot_of(member), application_of(member), binding_of(member)
end
