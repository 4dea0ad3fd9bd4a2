-- Notes that the message is done. KEYS[1]: its key; ARGV: this worker's name, how many ms to remember it.
-- Answers 1 if it is noted: the claim was still this worker's, or had expired and nobody has taken the message since, or
-- this worker has noted it before, and the answer was lost.
local held = redis.call('GET', KEYS[1])
if not held or held == 'working:' .. ARGV[1] or held == 'done:' .. ARGV[1] then
    redis.call('SET', KEYS[1], 'done:' .. ARGV[1], 'PX', ARGV[2])
    return 1
end
return 0
